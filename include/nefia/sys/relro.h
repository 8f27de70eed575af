#ifndef NEFIA_SYS_RELRO_H
#define NEFIA_SYS_RELRO_H

/** Make the program's relocated constants (tables of pointers, the GOT) read-only. A dynamic loader
 * does that for the PT_GNU_RELRO segment of elf(5); musl's start of a static-pie only relocates.
 * Once, before anything hostile is read. A program without that segment is left as it is. */
void relro_protect(void);

#endif
