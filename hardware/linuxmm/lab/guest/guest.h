/* The guest's tool: one program, many small commands. */
#ifndef GUEST_H
#define GUEST_H
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096ul

struct command {
	const char *name;
	int (*run)(int count, char **words);
};

extern const struct command mailbox_commands[], memory_commands[], file_commands[], feature_commands[],
	call_commands[], area_commands[];

void fail(const char *what) __attribute__((noreturn));
void seed_with(const char *word);
uint64_t below(uint64_t limit); /* a number of the run's own sequence, 0 when the limit is 0 */
uint64_t next_word(void);
void open_marker(void);
void marker(const char *text); /* into the trace */
char *anonymous(size_t pages);
long number_in(const char *path); /* -1 when the file cannot be read */

#endif
