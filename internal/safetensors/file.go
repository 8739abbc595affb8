package safetensors

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
)

// replacing lets one Replace at a time have the temporary file.
var replacing sync.Mutex

// Replace writes f to the file at path, which at any moment holds what it held before or all of f,
// whatever happens: f is written to path + ".tmp" and synced, then renamed. If path is a symbolic
// link, the file it leads to is replaced; what is not a regular file, a device or a folder, is not.
// The new file's permissions are the old one's, but for the umask. After an error nothing is left
// of the new file. Calls may be concurrent, but not from several processes to one path.
func (f *File) Replace(path string) (err error) {
	target, err := filepath.EvalSymlinks(path)
	if errors.Is(err, fs.ErrNotExist) {
		target, err = path, nil
	}
	if err != nil {
		return err
	}
	mode := fs.FileMode(0o666)
	if info, err := os.Stat(target); err == nil {
		if !info.Mode().IsRegular() {
			return fmt.Errorf("%s is not a regular file", target)
		}
		mode = info.Mode().Perm() // a file kept from others stays so
	}
	replacing.Lock()
	defer replacing.Unlock()
	temporary := target + ".tmp"
	os.Remove(temporary) // that of a killed process; and what stands there is not followed if it is a link
	file, err := os.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(temporary)
		}
	}()
	if _, err = f.WriteTo(file); err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	if err = os.Rename(temporary, target); err != nil {
		return err
	}
	syncFolder(filepath.Dir(target))
	return nil
}

// syncFolder makes a rename in the folder last, where folders can be synced; the file is whole in
// any case.
func syncFolder(path string) {
	if folder, err := os.Open(path); err == nil {
		folder.Sync()
		folder.Close()
	}
}
