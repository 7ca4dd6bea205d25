/* Makes the system calls of a list, one a line, and says what came of each (docs/formats/vm-calls.md).
 *
 * A list has sections, each begun by a line "new"; each section runs in a process of its own that has a layout
 * without randomization and no privileges.
 */
#include "guest.h"
#include <grp.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>

#define NOBODY 65534
#define FILES 6
#define WORDS 8
#ifndef SYS_mseal
#define SYS_mseal 462
#endif

static int files[FILES], scratch, smaps = -1, status = -1, pagemap = -1;
static char text[1 << 19], shown[1 << 18], before[1 << 18], line[1 << 15], out[1 << 16];
static size_t held, held_before, used;
static unsigned char vector[4096];
static uint64_t entries[4096];

static void flush(void)
{
	for (size_t at = 0; at < used;) {
		ssize_t put = write(1, out + at, used - at);

		if (put <= 0)
			_exit(1);
		at += put;
	}
	used = 0;
}

static void put(const char *data, size_t size)
{
	if (used + size > sizeof(out))
		flush();
	if (size > sizeof(out)) {
		if (write(1, data, size) < 0)
			_exit(1);
		return;
	}
	memcpy(out + used, data, size);
	used += size;
}

static void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void say(const char *format, ...)
{
	char words[512];
	va_list list;
	int size;

	va_start(list, format);
	size = vsnprintf(words, sizeof(words), format, list);
	va_end(list);
	put(words, size < (int)sizeof(words) ? (size_t)size : sizeof(words) - 1);
}

static size_t whole(int file, char *to, size_t room)
{
	size_t size = 0;
	ssize_t got;

	while (size < room - 1 && (got = pread(file, to + size, room - 1 - size, size)) > 0)
		size += got;
	to[size] = 0;
	return size;
}

static void keep(const char *from, size_t size)
{
	if (held + size > sizeof(shown))
		fail("too many areas");
	memcpy(shown + held, from, size);
	held += size;
}

static void say_state(void)
{
	char *at, *end;
	int counted = 0;

	memcpy(before, shown, held);
	held_before = held;
	held = 0;
	whole(smaps, text, sizeof(text));
	for (at = text; (end = strchr(at, '\n')); at = end + 1) {
		if (!strncmp(at, "VmFlags: ", 9)) {
			keep("v ", 2);
			keep(at + 9, end + 1 - at - 9);
		} else if (strchr("0123456789abcdef", *at)) {
			keep(at, end + 1 - at);
		}
	}
	if (held == held_before && !memcmp(shown, before, held))
		put("~\n", 2);
	else
		put(shown, held);
	whole(status, text, sizeof(text));
	put("c", 1);
	for (at = text; (end = strchr(at, '\n')); at = end + 1) {
		unsigned long value;

		if (counted < 4 && (!strncmp(at, "VmSize:", 7) || !strncmp(at, "VmLck:", 6) ||
				    !strncmp(at, "VmData:", 7) || !strncmp(at, "VmStk:", 6))) {
			sscanf(strchr(at, ':') + 1, "%lu", &value);
			say(" %lu", value);
			counted++;
		}
	}
	put("\n.\n", 3);
}

static void open_files(void)
{
	char page[PAGE], path[40];
	int ends[2];

	files[0] = syscall(SYS_memfd_create, "first", 0);
	files[1] = syscall(SYS_memfd_create, "second", 0);
	scratch = syscall(SYS_memfd_create, "scratch", 0);
	for (int n = 0; n < 16; n++) {
		memset(page, n + 1, PAGE);
		if (write(files[0], page, PAGE) < 0)
			fail("write");
	}
	for (int n = 0; n < 5; n++) {
		memset(page, n + 0x41, PAGE);
		if (write(files[1], page, PAGE) < 0)
			fail("write");
	}
	for (int n = 0; n < 25; n++)
		if (write(files[1], "tail", 4) < 0)
			fail("write");
	snprintf(path, sizeof(path), "/proc/self/fd/%d", files[1]);
	files[2] = open(path, O_RDONLY);
	files[3] = open(path, O_WRONLY);
	files[4] = open("/", O_RDONLY | O_DIRECTORY);
	if (pipe(ends) < 0)
		fail("pipe");
	files[5] = ends[0];
}

static const int limits[] = { RLIMIT_AS, RLIMIT_DATA, RLIMIT_STACK, RLIMIT_MEMLOCK };
static const char *const limit_names[] = { "address_space", "data", "stack", "locked" };

static void hello(void)
{
	static const char *const rights[] = { "rw", "rw", "r-", "-w", "r-", "r-" };
	static const int more[] = { 100, 101, 102, 103 };
	struct utsname name;
	unsigned long start_stack = 0, start_data = 0, end_data = 0, start_brk = 0, ram = 0, swap = 0, floor;
	unsigned long limit_kb = 0, committed_kb = 0;
	int file = open("/proc/self/stat", O_RDONLY), field = 2, n_key;
	char *at;

	whole(file, text, sizeof(text));
	close(file);
	for (at = strrchr(text, ')') + 1; (at = strchr(at, ' ')); at++) {
		unsigned long value = strtoul(at + 1, 0, 10);

		field++;
		if (field == 28)
			start_stack = value;
		if (field == 45)
			start_data = value;
		if (field == 46)
			end_data = value;
		if (field == 47)
			start_brk = value;
	}
	char *debian;

	uname(&name);
	/* Debian names its packages 6.1.0-N; which release that is stands in the version. */
	debian = strstr(name.version, "Debian ");
	if (debian)
		sscanf(debian, "Debian %64[0-9.]", name.release);
	say("linuxmm-vm/1 %s %d\n", name.release, (int)sizeof(long) * 8);
	say("heap %lx %lx %lx %lx\n", start_brk, (unsigned long)syscall(SYS_brk, 0), end_data - start_data,
	    start_stack);
	for (int n = 0; n < 4; n++) {
		struct rlimit limit;

		getrlimit(limits[n], &limit);
		say("limit %s %lx\n", limit_names[n], (unsigned long)limit.rlim_cur);
	}
	file = open("/proc/meminfo", O_RDONLY);
	whole(file, text, sizeof(text));
	close(file);
	sscanf(strstr(text, "MemTotal:") + 9, "%lu", &ram);
	sscanf(strstr(text, "SwapTotal:") + 10, "%lu", &swap);
	say("tunable overcommit %lx\n", number_in("/proc/sys/vm/overcommit_memory"));
	sscanf(strstr(text, "CommitLimit:") + 12, "%lu", &limit_kb);
	sscanf(strstr(text, "Committed_AS:") + 13, "%lu", &committed_kb);
	say("tunable commit_pages %lx\ntunable committed %lx\n", limit_kb / 4, committed_kb / 4);
	say("tunable user_reserve %lx\n", number_in("/proc/sys/vm/user_reserve_kbytes") / 4);
	say("tunable max_map_count %lx\n", number_in("/proc/sys/vm/max_map_count"));
	say("tunable min_address %lx\n", number_in("/proc/sys/vm/mmap_min_addr"));
	say("tunable legacy_layout %lx\n", number_in("/proc/sys/vm/legacy_va_layout"));
	say("tunable total_pages %lx\ntunable swap_pages %lx\n", (ram + swap) / 4, swap / 4);
	floor = (unsigned long)mmap((void *)PAGE, PAGE, 0, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	munmap((void *)floor, PAGE);
	say("tunable hint_floor %lx\n", floor);
	n_key = pkey_alloc(0, 0);
	say("tunable protection_keys %d\n", n_key >= 0);
	if (n_key >= 0)
		pkey_free(n_key);
	say("tunable five_levels %d\n", sizeof(long) == 8 && !munmap((void *)(1ull << 47), PAGE));
	for (int n = 0; n < 30; n++) {
		int advice = n < 26 ? n : more[n - 26];

		say("advice %d %d\n", advice, !madvise(0, 0, advice));
	}
	say("names %d\n", !prctl(0x53564d61, 0, 0, 0, 0));
	for (int n = 0; n < FILES; n++) {
		struct stat about;
		char link[40], path[80];
		ssize_t size;

		fstat(files[n], &about);
		snprintf(link, sizeof(link), "/proc/self/fd/%d", files[n]);
		size = readlink(link, path, sizeof(path) - 1);
		path[size < 0 ? 0 : size] = 0;
		say("file %d ", n);
		for (char *c = path; *c; c++)
			say(*c == ' ' ? "\\040" : "%c", *c);
		floor = (unsigned long)mmap(0, PAGE, PROT_EXEC, MAP_PRIVATE, files[n], 0);
		if (floor != ~0ul)
			munmap((void *)floor, PAGE);
		say(" %x %x %lu %s %lu %s %d\n", major(about.st_dev), minor(about.st_dev),
		    (unsigned long)about.st_ino, rights[n], (unsigned long)about.st_size,
		    n < 4 ? "shmem" : "unmappable", floor == ~0ul && errno == EPERM);
	}
	say_state();
}

static void reply(long result, const char *payload)
{
	int error = result == -1 ? errno : 0;

	say("= %lx %d ", (unsigned long)result, error);
	put(payload, strlen(payload));
	put("\n", 1);
	say_state();
}

static void transfer(int storing, unsigned long address, char *words)
{
	unsigned char data[64];
	char hex[160] = "-";
	size_t size = 0;
	long result;

	if (storing) {
		for (; words[0] > ' ' && words[1] > ' '; words += 2) {
			unsigned int byte;

			sscanf(words, "%2x", &byte);
			data[size++] = byte;
		}
		if (pwrite(scratch, data, size, 0) < 0)
			fail("pwrite");
		result = pread(scratch, (void *)address, size, 0);
	} else {
		size = strtoul(words, 0, 16);
		result = pwrite(scratch, (void *)address, size, 0);
		if (result > 0) {
			int error = errno;

			if (pread(scratch, data, size, 0) < 0)
				fail("pread");
			for (size_t n = 0; n < size; n++)
				sprintf(hex + 2 * n, "%02x", data[n]);
			errno = error;
		}
	}
	reply(result, hex);
}

static void ask_mincore(unsigned long address, unsigned long length, int has_vector)
{
	long result = syscall(SYS_mincore, address, length, has_vector ? vector : 0);
	size_t pages = (length + PAGE - 1) / PAGE, at = 0;
	static char hex[4 * 4096 + 8];

	if (result || !pages) {
		reply(result, "-");
		return;
	}
	if (pread(pagemap, entries, 8 * pages, (off_t)(address / PAGE) * 8) != (ssize_t)(8 * pages))
		fail("pagemap");
	for (size_t n = 0; n < pages; n++)
		at += sprintf(hex + at, "%02x", vector[n] & 1);
	hex[at++] = ':';
	for (size_t n = 0; n < pages; n++) {
		unsigned int top = entries[n] >> 56;

		at += sprintf(hex + at, "%02x", top >> 4 | (top & 1) << 4);
	}
	reply(result, hex);
}

static void run_fork(void)
{
	pid_t child;
	int state;

	say("= 1 0 -\n|\n");
	flush();
	child = fork();
	if (!child) {
		smaps = open("/proc/self/smaps", O_RDONLY);
		status = open("/proc/self/status", O_RDONLY);
		held = 0;
		say_state();
		flush();
		_exit(0);
	}
	waitpid(child, &state, 0);
	say_state();
}

static void name_range(unsigned long address, unsigned long length, const char *word)
{
	char name[200];
	size_t size = 0;

	if (*word == '=')
		for (word++; word[0] > ' ' && word[1] > ' '; word += 2) {
			unsigned int byte;

			sscanf(word, "%2x", &byte);
			name[size++] = byte;
			if (size == sizeof(name) - 1)
				break;
		}
	name[size] = 0;
	reply(syscall(SYS_prctl, 0x53564d61, 0, address, length, strcmp(word, "-") && word[0] != '-' ? name : 0),
	      "-");
}

static const struct { const char *name; long number; } plain[] = {
	{ "munmap", SYS_munmap }, { "mprotect", SYS_mprotect }, { "mremap", SYS_mremap }, { "brk", SYS_brk },
	{ "madvise", SYS_madvise }, { "mlock", SYS_mlock }, { "mlock2", SYS_mlock2 }, { "munlock", SYS_munlock },
	{ "mlockall", SYS_mlockall }, { "munlockall", SYS_munlockall }, { "msync", SYS_msync },
	{ "mseal", SYS_mseal },
};

static long map(unsigned long *w)
{
	int file = w[4] < FILES ? files[w[4]] : -1;

#ifdef SYS_mmap2
	return syscall(SYS_mmap2, w[0], w[1], w[2], w[3], file, w[5] / PAGE);
#else
	return syscall(SYS_mmap, w[0], w[1], w[2], w[3], file, w[5]);
#endif
}

static void run(char *call)
{
	unsigned long words[WORDS] = { 0 };
	char *at = strchr(call, ' '), *rest = 0;
	size_t length = at ? (size_t)(at - call) : strlen(call);

	errno = 0;
	if (!strncmp(call, "limit ", 6)) {
		for (int n = 0; n < 4; n++) {
			size_t size = strlen(limit_names[n]);
			struct rlimit limit;

			if (strncmp(call + 6, limit_names[n], size))
				continue;
			getrlimit(limits[n], &limit);
			limit.rlim_cur = strtoull(call + 6 + size, 0, 16) >> 63 ?
						 RLIM_INFINITY : strtoull(call + 6 + size, 0, 16);
			reply(setrlimit(limits[n], &limit), "-");
		}
		return;
	}
	for (int n = 0; at && n < WORDS; n++) {
		if (n == 1)
			rest = at + 1;
		if (n == 2 && !strncmp(call, "name ", 5))
			break;
		words[n] = strtoull(at + 1, 0, 16);
		at = strchr(at + 1, ' ');
	}
	if (!strncmp(call, "mmap ", 5))
		reply(map(words), "-");
	else if (!strncmp(call, "store ", 6) || !strncmp(call, "load ", 5))
		transfer(*call == 's', words[0], rest);
	else if (!strcmp(call, "fork"))
		run_fork();
	else if (!strncmp(call, "mincore ", 8))
		ask_mincore(words[0], words[1], words[2]);
	else if (!strncmp(call, "name ", 5))
		name_range(words[0], words[1], strrchr(call, ' ') + 1);
	else
		for (size_t n = 0; n < sizeof(plain) / sizeof(*plain); n++)
			if (strlen(plain[n].name) == length && !strncmp(plain[n].name, call, length))
				reply(syscall(plain[n].number, words[0], words[1], words[2], words[3], words[4]), "-");
}

static int one_section(char *list, long section)
{
	struct rlimit limit = { 8 << 20, 8 << 20 };
	int file = open(list, O_RDONLY);
	size_t size = 0;
	off_t at = 0;
	long seen = -1;

	setrlimit(RLIMIT_MEMLOCK, &limit);
	open_files();
	smaps = open("/proc/self/smaps", O_RDONLY);
	status = open("/proc/self/status", O_RDONLY);
	pagemap = open("/proc/self/pagemap", O_RDONLY);
	if (setgroups(0, 0) || setresgid(NOBODY, NOBODY, NOBODY) || setresuid(NOBODY, NOBODY, NOBODY))
		fail("privileges");
	prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
	hello();
	for (;;) {
		ssize_t got = pread(file, line, sizeof(line) - 1, at);
		char *end;

		if (got <= 0)
			break;
		line[got] = 0;
		end = strchr(line, '\n');
		if (!end)
			break;
		*end = 0;
		size = end + 1 - line;
		at += size;
		if (!strcmp(line, "new")) {
			if (++seen > section)
				break;
		} else if (seen == section) {
			run(line);
			flush();
		}
	}
	flush();
	return 0;
}

/* areas LIST: every section of the list, each in a process of its own. */
static int areas(int count, char **words)
{
	if (count < 1)
		return 2;
	for (long section = 0;; section++) {
		char number[24];
		pid_t child;
		int state;

		snprintf(number, sizeof(number), "%08ld", section);
		child = fork();
		if (!child) {
			personality(ADDR_NO_RANDOMIZE);
			execl("/proc/self/exe", "guest", "areas-section", words[0], number, (char *)0);
			_exit(127);
		}
		waitpid(child, &state, 0);
		if (WIFSIGNALED(state))
			say("! section %ld ended by signal %d\n.\n", section, WTERMSIG(state));
		flush();
		if (WIFEXITED(state) && WEXITSTATUS(state) == 3)
			return 0;
	}
}

static int areas_section(int count, char **words)
{
	long sections = 0, section = count > 1 ? atol(words[1]) : 0;
	FILE *list = fopen(words[0], "r");

	while (list && fgets(line, sizeof(line), list))
		sections += !strcmp(line, "new\n");
	if (list)
		fclose(list);
	return section >= sections ? 3 : one_section(words[0], section);
}

const struct command area_commands[] = {
	{ "areas", areas }, { "areas-section", areas_section }, { 0, 0 },
};
