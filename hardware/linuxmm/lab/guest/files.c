/* Reads and writes of files, by pattern. */
#include "guest.h"

/* write FILE MEGABYTES [sync] */
static int write_file(int count, char **words)
{
	static char block[65536];
	int file;

	if (count < 2)
		return 2;
	file = open(words[0], O_CREAT | O_RDWR, 0644);
	if (file < 0)
		fail(words[0]);
	memset(block, 'x', sizeof(block));
	for (long n = 0; n < atol(words[1]) * 16; n++) {
		memcpy(block, &n, sizeof(n));
		if (write(file, block, sizeof(block)) < 0)
			fail("write");
	}
	if (count > 2 && fsync(file))
		fail("fsync");
	close(file);
	return 0;
}

static off_t place(const char *pattern, long n, long size, off_t end)
{
	if (!strcmp(pattern, "sequential"))
		return (n * size) % end;
	if (!strcmp(pattern, "random"))
		return below(end / size) * size;
	if (!strcmp(pattern, "stride"))
		return (n * 4 * size) % end;
	if (!strcmp(pattern, "backward"))
		return end > (n + 1) * size ? end - (n + 1) * size : 0;
	if (!strcmp(pattern, "mixed"))
		return n & 1 ? (off_t)(below(end / size) * size) : (n / 2 * size) % end;
	if (!strcmp(pattern, "two")) /* two interleaved streams */
		return (n & 1 ? end / 2 : 0) + n / 2 * size;
	fprintf(stderr, "no pattern %s\n", pattern);
	exit(2);
}

/* read FILE PATTERN TIMES BYTES [ADVICE]: marks each read in the trace. */
static int read_file(int count, char **words)
{
	struct stat about;
	char text[80], *block;
	int file;
	long size;

	if (count < 4)
		return 2;
	file = open(words[0], O_RDONLY);
	size = atol(words[3]);
	block = malloc(size);
	if (file < 0 || fstat(file, &about) || !block)
		fail(words[0]);
	if (count > 4)
		posix_fadvise(file, 0, 0, atoi(words[4]));
	for (long n = 0; n < atol(words[2]); n++) {
		off_t at = place(words[1], n, size, about.st_size);

		snprintf(text, sizeof(text), "PREAD %ld %ld", (long)at, size);
		marker(text);
		if (pread(file, block, size, at) < 0)
			fail("pread");
	}
	return 0;
}

/* map FILE PATTERN TIMES [ADVICE]: faults through a shared mapping. */
static int map_file(int count, char **words)
{
	struct stat about;
	char text[80];
	volatile char *at;
	long sum = 0;
	int file;

	if (count < 3)
		return 2;
	file = open(words[0], O_RDONLY);
	if (file < 0 || fstat(file, &about))
		fail(words[0]);
	at = mmap(0, about.st_size, PROT_READ, MAP_SHARED, file, 0);
	if (at == MAP_FAILED)
		fail("mmap");
	if (count > 3)
		madvise((void *)at, about.st_size, atoi(words[3]));
	for (long n = 0; n < atol(words[2]); n++) {
		off_t offset = place(words[1], n, PAGE, about.st_size);

		snprintf(text, sizeof(text), "FAULT %ld", (long)(offset / PAGE));
		marker(text);
		sum += at[offset];
	}
	return sum == -1;
}

/* dax FILE [MARK]: a file of persistent memory mapped: read and written in small and huge pages, copied on write. */
static int dax(int count, char **words)
{
	const size_t two = 2ul << 20;
	int file = count ? open(words[0], O_RDWR | O_CREAT | O_CLOEXEC, 0644) : -1, flags = 0x03 | 0x80000 /* SYNC */;
	char *at, *own, *space, command[100];
	volatile char seen;
	long faults = 0;

	if (file < 0 || ftruncate(file, 4 * two))
		fail("dax");
	space = mmap(0, 6 * two, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	space = (char *)(((uintptr_t)space + two - 1) & ~(two - 1));
	at = mmap(space, 4 * two, PROT_READ | PROT_WRITE, flags | MAP_FIXED, file, 0);
	own = mmap(0, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0);
	printf("{\"sync_map\":%d,\"errno\":%d,", at != MAP_FAILED, at == MAP_FAILED ? errno : 0);
	if (at == MAP_FAILED || own == MAP_FAILED)
		fail("mmap");
	for (size_t page = 0; page < 40; page++, faults++)
		at[page * PAGE] = (char)page;
	for (size_t page = 512; page < 1024; page += 64, faults++)
		seen = at[page * PAGE];
	at[2 * two] = 7;
	seen = own[3 * PAGE];
	own[0] = 9;
	own[PAGE] = seen;
	printf("\"shared_first\":%d,\"own_first\":%d,\"touches\":%ld}\n", at[0], own[0], faults);
	fflush(stdout);
	if (count > 1) {
		snprintf(command, sizeof(command), "/bin/guest mark %.40s", words[1]);
		if (system(command))
			return 1;
	}
	msync(at, 4 * two, MS_SYNC);
	munmap(at + two, two);
	return 0;
}

const struct command file_commands[] = {
	{ "write", write_file }, { "read", read_file }, { "map", map_file }, { "dax", dax }, { 0, 0 },
};
