"""What a set of photographs can do whose names are known and whose files are not open."""

import os


class Photographs:
    """Full paths of `files` and `test_files`, which are relative to `folder`."""

    def paths(self, index=None):
        """Return full paths of labelled photographs, a list of str.

        Parameters
        ----------
        index : array, optional
            Row numbers or a boolean mask; by default all rows.
        """
        return self._full(self.files if index is None else self.files[index])

    def test_paths(self):
        """Return the full paths of the unlabelled photographs, a list of str."""
        return self._full(self.test_files)

    def _full(self, files):
        return [f"{self.folder}{os.sep}{file}" for file in files.tolist()]

    def __len__(self):
        return len(self.files)
