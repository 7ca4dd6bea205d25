/* Random memory-management system calls; each with its result, and what it changed in the task's own maps.
 *
 * One JSON object a line.  The first states the whole of /proc/self/smaps; later ones a call ("op", "args", "ret",
 * "errno") with "gone" (start addresses of maps that are no more) and "maps" (those that are new or changed).
 */
#include "guest.h"
#include <stdarg.h>

#define ARENA 0x10000000000ul
#define ARENA_PAGES 160ul
#define MAPS 400

struct map {
	unsigned long start, end, offset, rss, anonymous, locked, swap;
	char permissions[5], flags[96], name[64];
};

static struct map now[MAPS], before[MAPS];
static int held, held_before;
static char text[1 << 18], line[1 << 16];
static size_t used;
static int files[3];

static void put(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void put(const char *format, ...)
{
	va_list list;

	va_start(list, format);
	used += vsnprintf(line + used, sizeof(line) - used, format, list);
	va_end(list);
}

static void flush_line(void)
{
	line[used++] = '\n';
	if (write(1, line, used) < 0)
		_exit(1);
	used = 0;
}

static void read_maps(void)
{
	int file = open("/proc/self/smaps", O_RDONLY | O_CLOEXEC);
	size_t size = 0;
	ssize_t got;
	struct map *m = 0;

	memcpy(before, now, sizeof(now));
	held_before = held;
	held = 0;
	while ((got = read(file, text + size, sizeof(text) - 1 - size)) > 0)
		size += got;
	close(file);
	text[size] = 0;
	for (char *at = text, *end; *at; at = end + 1) {
		unsigned long value;

		end = strchr(at, '\n');
		if (!end)
			break;
		*end = 0;
		if (!strncmp(at, "VmFlags:", 8)) {
			char *flags = at + 8;

			while (*flags == ' ')
				flags++;
			snprintf(m->flags, sizeof(m->flags), "%s", flags);
			for (size_t last = strlen(m->flags); last && m->flags[last - 1] == ' '; last--)
				m->flags[last - 1] = 0;
		} else if (sscanf(at, "Rss: %lu", &value) == 1) {
			m->rss = value;
		} else if (sscanf(at, "Anonymous: %lu", &value) == 1) {
			m->anonymous = value;
		} else if (sscanf(at, "Locked: %lu", &value) == 1) {
			m->locked = value;
		} else if (sscanf(at, "Swap: %lu", &value) == 1) {
			m->swap = value;
		} else if (held < MAPS && strchr("0123456789abcdef", *at)) {
			int name = 0;

			m = &now[held++];
			memset(m, 0, sizeof(*m));
			sscanf(at, "%lx-%lx %4s %lx %*s %*s %n", &m->start, &m->end, m->permissions, &m->offset, &name);
			if (name)
				snprintf(m->name, sizeof(m->name), "%s", at + name);
		}
	}
}

static void put_map(const struct map *m, int first)
{
	put("%s{\"start\":\"%lx\",\"end\":\"%lx\",\"perm\":\"%s\",\"offset\":\"%lx\",\"name\":\"%s\",\"flags\":\"%s\","
	    "\"rss\":%lu,\"anon\":%lu,\"locked\":%lu,\"swap\":%lu}",
	    first ? "" : ",", m->start, m->end, m->permissions, m->offset, m->name, m->flags, m->rss, m->anonymous,
	    m->locked, m->swap);
}

static void put_changes(void)
{
	int first = 1, o = 0;

	read_maps();
	for (int pass = 0; pass < 2; pass++) {
		const struct map *a = pass ? now : before, *b = pass ? before : now;
		int na = pass ? held : held_before, nb = pass ? held_before : held;

		first = 1;
		o = 0;
		for (int n = 0; n < na; n++) {
			while (o < nb && b[o].start < a[n].start)
				o++;
			if (o < nb && b[o].start == a[n].start && (!pass || !memcmp(&a[n], &b[o], sizeof(*a))))
				continue;
			if (first)
				put(pass ? ",\"maps\":[" : ",\"gone\":[");
			if (pass)
				put_map(&a[n], first);
			else
				put("%s\"%lx\"", first ? "" : ",", a[n].start);
			first = 0;
		}
		if (!first)
			put("]");
	}
	put("}");
	flush_line();
}

static unsigned long address(void)
{
	if (!below(12))
		return (unsigned long)sbrk(0) - below(4) * PAGE;
	return ARENA + below(ARENA_PAGES) * PAGE + (below(20) ? 0 : below(PAGE));
}

static unsigned long length(void)
{
	return below(25) ? (below(12) + 1) * PAGE - (below(8) ? 0 : below(PAGE)) : 0;
}

static int protection(void)
{
	static const int some[] = { 0, 1, 3, 3, 3, 5, 2, 7, 0x1000003 };

	return some[below(9)];
}

static void report(long number, const char *name, long result, int error, const char *format, ...)
	__attribute__((format(printf, 5, 6)));

static void report(long number, const char *name, long result, int error, const char *format, ...)
{
	va_list list;

	put("{\"i\":%ld,\"op\":\"%s\",\"args\":[", number, name);
	va_start(list, format);
	used += vsnprintf(line + used, sizeof(line) - used, format, list);
	va_end(list);
	put("],\"ret\":\"%lx\",\"errno\":%d", result, result == -1 ? error : 0);
	put_changes();
}

static void one_mmap(long number)
{
	static const int kinds[] = { MAP_PRIVATE, MAP_PRIVATE, MAP_SHARED, MAP_PRIVATE | 0x100 /* GROWSDOWN */, 0 };
	unsigned long at = below(4) ? address() & ~(PAGE - 1) : 0, size = length();
	int prot = protection() & 7, flags = kinds[below(5)], file = -1;
	long offset = 0, result;

	if (at && below(3))
		flags |= below(4) ? MAP_FIXED : 0x100000 /* FIXED_NOREPLACE */;
	if (below(3))
		flags |= MAP_ANONYMOUS;
	else {
		file = files[below(3)];
		offset = below(6) * PAGE + (below(15) ? 0 : 7);
	}
	if (!below(8))
		flags |= MAP_POPULATE;
	if (!below(10))
		flags |= MAP_LOCKED;
	if (!below(10))
		flags |= MAP_NORESERVE;
	if (!(flags & MAP_FIXED) && at + size > ARENA + (ARENA_PAGES << 12))
		at = ARENA;
	result = (long)mmap((void *)at, size, prot, flags, file, offset);
	report(number, "mmap", result, errno, "\"%lx\",\"%lx\",%d,\"%x\",%d,\"%lx\"", at, size, prot, flags,
	       file < 0 ? -1 : file, offset);
}

static void one_mremap(long number)
{
	unsigned long at = address() & ~(below(20) ? PAGE - 1 : 0), old = length(), size = length(), to = address();
	int flags = below(5);
	long result;

	to &= ~(PAGE - 1);
	result = (long)mremap((void *)at, old, size, flags, (void *)to);
	report(number, "mremap", result, errno, "\"%lx\",\"%lx\",\"%lx\",%d,\"%lx\"", at, old, size, flags, to);
}

static void touch(long number)
{
	unsigned long at = (address() & ~7ul);
	char *page = (char *)(at & ~(PAGE - 1));
	unsigned char there;
	uint64_t value = next_word();
	int writing = below(2), file = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
	long result;

	/* A touch that would fault must not end the run: it goes through the kernel. */
	if (mincore(page, PAGE, &there)) {
		close(file);
		return;
	}
	result = writing ? pwrite(file, &value, 8, at) : pread(file, &value, 8, at);
	close(file);
	report(number, writing ? "poke" : "peek", result, errno, "\"%lx\"", at);
}

/* calls SEED NUMBER: the same seed makes the same calls. */
static int calls(int count, char **words)
{
	static const int advice[] = { 0, 1, 2, 3, 4, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 99 };
	long total;

	if (count < 2)
		return 2;
	seed_with(words[0]);
	total = atol(words[1]);
	for (int n = 0; n < 3; n++) {
		char name[40];

		snprintf(name, sizeof(name), "/tmp/calls.%d", n);
		files[n] = open(name, O_RDWR | O_CREAT, 0644);
		if (files[n] < 0 || ftruncate(files[n], (5 + 4 * n) * PAGE + 100 * n))
			fail(name);
	}
	read_maps();
	put("{\"format\":\"linuxmm-calls/1\",\"seed\":\"%s\",\"arena\":\"%lx\",\"arena_pages\":%lu,\"files\":[%d,%d,%d],"
	    "\"maps\":[", words[0], ARENA, ARENA_PAGES, files[0], files[1], files[2]);
	for (int n = 0; n < held; n++)
		put_map(&now[n], !n);
	put("]}");
	flush_line();
	for (long n = 0; n < total; n++) {
		unsigned long at = address() & ~(below(20) ? PAGE - 1 : 0), size = length();
		int which = below(20), argument;
		long result;

		switch (which) {
		case 0 ... 5:
			one_mmap(n);
			break;
		case 6 ... 7:
			result = munmap((void *)at, size);
			report(n, "munmap", result, errno, "\"%lx\",\"%lx\"", at, size);
			break;
		case 8 ... 9:
			argument = protection();
			result = mprotect((void *)at, size, argument);
			report(n, "mprotect", result, errno, "\"%lx\",\"%lx\",%d", at, size, argument);
			break;
		case 10 ... 11:
			one_mremap(n);
			break;
		case 12 ... 13:
			argument = advice[below(sizeof(advice) / sizeof(*advice))];
			result = madvise((void *)at, size, argument);
			report(n, "madvise", result, errno, "\"%lx\",\"%lx\",%d", at, size, argument);
			break;
		case 14:
			argument = below(2);
			result = argument ? mlock((void *)at, size) : munlock((void *)at, size);
			report(n, argument ? "mlock" : "munlock", result, errno, "\"%lx\",\"%lx\"", at, size);
			break;
		case 15:
			argument = below(8) * 4;
			result = msync((void *)at, size, argument / 4);
			report(n, "msync", result, errno, "\"%lx\",\"%lx\",%d", at, size, argument / 4);
			break;
		case 16:
			at = (unsigned long)sbrk(0) + (below(2) ? below(6) * PAGE : -below(3) * PAGE);
			result = brk((void *)at);
			report(n, "brk", result, errno, "\"%lx\"", at);
			break;
		default:
			touch(n);
		}
	}
	return 0;
}

const struct command call_commands[] = { { "calls", calls }, { 0, 0 } };
