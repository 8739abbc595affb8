extern int PrintResults(void);

int main(void) { return PrintResults(); }
