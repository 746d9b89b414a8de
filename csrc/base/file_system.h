/* What kind of file system a file is on. */
#ifndef SC_BASE_FILE_SYSTEM_H
#define SC_BASE_FILE_SYSTEM_H

/* The name of the file system that a path is on, where other machines may write to it, or where it is not known to give
 * processes one view of a file that they map into memory: "NFS", "SMB", "Lustre" and so on. NULL where it is a disk of
 * this machine, and where nothing can be said. */
const char *sc_file_system_shared(const char *path);

#endif
