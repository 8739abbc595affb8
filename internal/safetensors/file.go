package safetensors

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// Replace writes f to the file at path, which at any moment holds what it held before or all of f, whatever
// happens: f is written to path + ".tmp" and synced, then renamed. If path is a symbolic link, the file it
// leads to is replaced. After an error nothing is left of the new file.
func (f *File) Replace(path string) (err error) {
	target, err := filepath.EvalSymlinks(path)
	if errors.Is(err, fs.ErrNotExist) {
		target, err = path, nil
	}
	if err != nil {
		return err
	}
	temporary := target + ".tmp"
	file, err := os.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o666)
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

// syncFolder makes a rename in the folder last, where folders can be synced; the file is whole in any case.
func syncFolder(path string) {
	if folder, err := os.Open(path); err == nil {
		folder.Sync()
		folder.Close()
	}
}
