package safetensors

import (
	"cmp"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
	"unicode/utf8"
)

// Replace writes f to the file at path, which at any moment holds what it held before or all of f,
// whatever happens: f is written to a file of its own in the same folder and synced, that is
// renamed, and the folder synced. If path is a symbolic link, the file it names is replaced, or
// made where there is none yet; what is not a regular file, a device or a folder, is not. The new
// file's permissions are the old one's, but for the umask. After an error nothing is left of the
// new file, unless the error is that of syncing the folder. Errors do not name the path.
//
// Calls may be concurrent, from several processes too: each writes a file with another name, and
// one of them is the last to rename its own. What a killed process has left is removed by the next
// Replace of the same path: a writer holds a lock on its file, which ends with its process, and
// where there are no locks a file is a dead process's when nothing was written to it for a day.
func (f *File) Replace(path string) error {
	target, mode, err := resolve(path)
	if err != nil {
		return cause(err)
	}
	path, name := filepath.Split(target) // not cleaned: ".." behind a link leads to another folder
	folder, err := os.Open(cmp.Or(path, here))
	if err != nil {
		return fmt.Errorf("the folder %s: %w", filepath.Dir(target), cause(err))
	}
	defer folder.Close()
	removeDead(folder, name)
	file, err := create(path+prefix(name), mode)
	if err != nil {
		return cause(err)
	}
	defer file.Close()
	if _, err = f.WriteTo(plainErrors{file}); err == nil {
		err = file.Sync()
	}
	if err == nil {
		err = move(file, target)
	}
	if err != nil {
		file.Close()
		os.Remove(file.Name())
		return cause(err)
	}
	return syncError(folder.Sync()) // so that the rename lasts
}

const here = "." + string(filepath.Separator)

// resolve follows the symbolic links at path to the file that is to be written, which need not
// exist, and returns the permissions that it has or is to have.
func resolve(path string) (target string, mode fs.FileMode, err error) {
	if path == "" {
		return "", 0, errNoPath
	}
	for n := 0; err == nil && n < 40; n++ { // as many as Linux follows
		info, err2 := os.Lstat(path)
		if errors.Is(err2, fs.ErrNotExist) {
			if !filepath.IsLocal(filepath.Base(path)) || os.IsPathSeparator(path[len(path)-1]) {
				return "", 0, errors.New("it cannot be the name of a file") // a device of Windows, or "new/"
			}
			return path, 0o666, nil
		}
		if err2 != nil {
			return "", 0, err2
		}
		if info.Mode()&fs.ModeSymlink == 0 {
			return path, info.Mode().Perm(), checkRegular(info, nil) // a file kept from others stays so
		}
		path, err = readLink(path)
	}
	return "", 0, cmp.Or(err, errors.New("too many symbolic links"))
}

// readLink returns the path that a symbolic link names.
func readLink(path string) (string, error) {
	link, err := os.Readlink(path)
	if err != nil || filepath.IsAbs(link) {
		return link, err
	}
	folder, _ := filepath.Split(path)
	folder, err = filepath.EvalSymlinks(cmp.Or(folder, here))
	return folder + string(filepath.Separator) + link, err
}

var errNoPath = errors.New("the path is empty")

// checkRegular returns an error if a file, of which Stat returned this, is not a regular one.
func checkRegular(info fs.FileInfo, err error) error {
	switch {
	case err != nil:
		return err
	case info.IsDir():
		return errors.New("it is a folder, not a file")
	case !info.Mode().IsRegular():
		return errors.New("it is not a regular file")
	}
	return nil
}

// prefix begins the names of the temporary files that belong to a file: its name, cut so that a
// suffix fits.
func prefix(name string) string {
	n := min(len(name), 64)
	for n < len(name) && !utf8.RuneStart(name[n]) {
		n--
	}
	return name[:n] + ".saving-"
}

const digits = 16 // hexadecimal, behind the prefix

// create makes a file for the time of writing, with a name of its own, and locks it.
func create(prefix string, mode fs.FileMode) (*os.File, error) {
	for range 100 {
		number := maphash.String(maphash.MakeSeed(), "") // by chance, but nothing of math/rand, which is the program's
		file, err := os.OpenFile(fmt.Sprintf("%s%0*x", prefix, digits, number), os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
		if err != nil {
			return nil, err
		}
		if ours(file) {
			return file, nil
		}
		file.Close() // another process took it for a dead one's, in the moment before it was locked
		os.Remove(file.Name())
	}
	return nil, errors.New("its temporary files do not last")
}

// ours locks a file that was made just now, if files can be locked here, and tells whether it still
// has its name.
func ours(file *os.File) bool {
	switch err := lock(file); {
	case errors.Is(err, errLocked):
		return false
	case err != nil:
		return true // no locks here: nobody removes a file so young
	}
	return isStill(file, file.Name())
}

// isStill tells whether the file at path is the open one.
func isStill(file *os.File, path string) bool {
	there, err1 := os.Lstat(path)
	info, err2 := file.Stat()
	return err1 == nil && err2 == nil && os.SameFile(there, info)
}

// removeDead removes the temporary files in the folder that dead processes have left when they
// wrote the file of the given name. What cannot be removed stays.
func removeDead(folder *os.File, name string) {
	for {
		names, err := folder.Readdirnames(1000)
		for _, n := range names {
			suffix, ok := strings.CutPrefix(n, prefix(name))
			if ok && len(suffix) == digits && strings.Trim(suffix, "0123456789abcdef") == "" {
				removeIfDead(folder.Name() + n)
			}
		}
		if err != nil {
			return
		}
	}
}

func removeIfDead(path string) {
	file, err := Open(path)
	if err != nil {
		return
	}
	defer file.Close()
	err = lock(file)
	if err != nil && !errors.Is(err, errLocked) { // no locks here
		if info, err2 := file.Stat(); err2 == nil && time.Since(info.ModTime()) > 24*time.Hour {
			err = nil
		}
	}
	if err == nil && isStill(file, path) { // and no link
		remove(file)
	}
}

// lock is lockFile, but in tests.
var lock = lockFile

// syncError is what is to be reported of an error of syncing a folder: nothing where that is not
// possible.
func syncError(err error) error {
	if err == nil || runtime.GOOS == "windows" || errors.Is(err, errors.ErrUnsupported) || errors.Is(err, syscall.EINVAL) {
		return nil
	}
	return fmt.Errorf("the file is written, but a crash of the system may undo it, since its folder cannot be synced: %w", cause(err))
}

// Open opens the file at path to read it, if it is a regular one or a link to one. Another one
// could keep its reader waiting for ever. Errors do not name the path.
func Open(path string) (*os.File, error) {
	if path == "" {
		return nil, errNoPath
	}
	return open(path, os.Stat) // some devices do something when they are opened
}

func open(path string, stat func(path string) (fs.FileInfo, error)) (*os.File, error) {
	if err := checkRegular(stat(path)); err != nil {
		return nil, cause(err)
	}
	file, err := os.OpenFile(path, os.O_RDONLY|nonblock, 0)
	if err == nil {
		err = checkRegular(file.Stat()) // it may be another one by now
	}
	if err != nil {
		file.Close()
		return nil, cause(err)
	}
	return file, nil
}

// cause returns what the system says, without the name of a temporary file.
func cause(err error) error {
	if p := (*fs.PathError)(nil); errors.As(err, &p) {
		return p.Err
	}
	if l := (*os.LinkError)(nil); errors.As(err, &l) {
		return l.Err
	}
	return err
}

// plainErrors is a file whose errors do not name it.
type plainErrors struct{ io.Writer }

func (p plainErrors) Write(b []byte) (int, error) {
	n, err := p.Writer.Write(b)
	return n, cause(err)
}
