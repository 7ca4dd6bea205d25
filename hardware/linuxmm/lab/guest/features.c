/* One command per feature that needs more than demand for memory. */
#include "guest.h"
#include <signal.h>
#include <sys/uio.h>

/* lazyfree MEGABYTES PRESSURE: MADV_FREE, a quarter written again, pressure, and what is left. */
static int lazyfree(int count, char **words)
{
	long pages, pressure, kept = 0, gone = 0, lost = 0;
	char *at, *more;

	if (count < 2)
		return 2;
	pages = atol(words[0]) * 256;
	pressure = atol(words[1]) * 256;
	at = anonymous(pages);
	madvise(at, pages * PAGE, MADV_NOHUGEPAGE);
	memset(at, 7, pages * PAGE);
	marker("MADV_FREE begin");
	if (madvise(at, pages * PAGE, MADV_FREE))
		fail("MADV_FREE");
	for (long page = 0; page < pages; page += 4)
		at[page * PAGE] = 9;
	marker("MADV_FREE written");
	more = anonymous(pressure);
	for (long page = 0; page < pressure; page++)
		more[page * PAGE] = 1;
	for (long page = 0; page < pages; page++) {
		if (page % 4 == 0 && at[page * PAGE] != 9)
			lost++;
		if (at[page * PAGE + 1] == 7)
			kept++;
		else
			gone++;
	}
	printf("{\"pages\":%ld,\"kept\":%ld,\"gone\":%ld,\"written_lost\":%ld}\n", pages, kept, gone, lost);
	return 0;
}


static void advance(int file, int times)
{
	char byte;

	while (times--)
		if (read(file, &byte, 1) != 1)
			exit(1);
}

/* A mark in the middle of a command, where a name for it was given. */
static void mark_here(int count, char **words, int at)
{
	char command[100];

	if (at >= count)
		return;
	snprintf(command, sizeof(command), "/bin/guest mark %.40s", words[at]);
	if (system(command))
		fprintf(stderr, "no mark %s\n", words[at]);
}

/* same PAGES TASKS [MARK MARK]: equal, unequal and zero pages in several tasks, offered for merging; half are then
 * written.
 */
static int same(int count, char **words)
{
	long pages, tasks;
	int done[2], next[16][2]; /* one for each: a task must not take the word that is for another */

	if (count < 2)
		return 2;
	pages = atol(words[0]);
	tasks = atol(words[1]) > 16 ? 16 : atol(words[1]);
	if (pipe(done))
		fail("pipe");
	for (long task = 0; task < tasks; task++) {
		char *at;

		if (pipe(next[task]))
			fail("pipe");
		if (fork())
			continue;
		at = anonymous(3 * pages);
		madvise(at, 3 * pages * PAGE, MADV_NOHUGEPAGE);
		for (long page = 0; page < pages; page++) {
			memset(at + page * PAGE, 'A' + page % 7, PAGE);
			for (size_t word = 0; word < PAGE; word += 8)
				*(uint64_t *)(at + (pages + page) * PAGE + word) = (uint64_t)page << 32 | task << 16 | word;
			memset(at + (2 * pages + page) * PAGE, 0, PAGE);
		}
		if (madvise(at, 3 * pages * PAGE, MADV_MERGEABLE))
			fail("MADV_MERGEABLE");
		if (write(done[1], "m", 1) != 1)
			exit(1);
		advance(next[task][0], 1);
		for (long page = 0; page < pages; page += 2)
			at[page * PAGE + 5]++;
		if (write(done[1], "w", 1) != 1)
			exit(1);
		advance(next[task][0], 1);
		if (madvise(at, 3 * pages * PAGE, MADV_UNMERGEABLE))
			perror("MADV_UNMERGEABLE");
		exit(0);
	}
	for (int step = 0; step < 2; step++) {
		long scans;

		advance(done[0], tasks);
		scans = number_in("/sys/kernel/mm/ksm/full_scans");
		for (int n = 0; n < 200 && number_in("/sys/kernel/mm/ksm/full_scans") < scans + 3; n++)
			usleep(50000);
		printf("{\"step\":\"%s\",\"shared\":%ld,\"sharing\":%ld,\"unshared\":%ld,\"volatile\":%ld,\"zero\":%ld}\n",
		       step ? "written" : "merged", number_in("/sys/kernel/mm/ksm/pages_shared"),
		       number_in("/sys/kernel/mm/ksm/pages_sharing"), number_in("/sys/kernel/mm/ksm/pages_unshared"),
		       number_in("/sys/kernel/mm/ksm/pages_volatile"), number_in("/sys/kernel/mm/ksm/ksm_zero_pages"));
		mark_here(count, words, 2 + step);
		for (long task = 0; task < tasks; task++)
			if (write(next[task][1], "n", 1) != 1)
				exit(1);
	}
	while (wait(0) > 0)
		;
	return 0;
}

/* huge: transparent huge pages taken, split by unmapping, protecting and writing after fork, and collapsed again. */
static int huge(int count, char **words)
{
	const size_t two = 2ul << 20;
	char *space = mmap(0, 8 * two, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), *at;

	(void)count;
	(void)words;
	if (space == MAP_FAILED)
		fail("mmap");
	at = (char *)(((uintptr_t)space + two - 1) & ~(two - 1));
	madvise(at, 6 * two, MADV_HUGEPAGE);
	for (int n = 0; n < 6; n++)
		at[n * two] = 1;
	marker("HUGE touched");
	munmap(at + 4096, 4096);
	madvise(at + two + 8192, 4096, MADV_DONTNEED);
	mprotect(at + 2 * two, 65536, PROT_READ);
	marker("HUGE split");
	if (!fork()) {
		at[3 * two + 5] = 2;
		exit(0);
	}
	wait(0);
	marker("HUGE forked");
	madvise(at + two, two, 25 /* MADV_COLLAPSE */);
	marker("HUGE collapsed");
	return 0;
}

/* reserved PAGES [MARK]: huge pages of the pool mapped, in part touched, unmapped. */
static int reserved(int count, char **words)
{
	const size_t two = 2ul << 20;
	long pages = count ? atol(words[0]) : 4;
	char *at = mmap(0, pages * two, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);

	printf("{\"mmap\":%ld,\"errno\":%d}\n", pages, at == MAP_FAILED ? errno : 0);
	if (at == MAP_FAILED)
		return 0;
	for (long n = 0; n < pages / 2; n++)
		at[n * two] = 1;
	mark_here(count, words, 1);
	if (!fork()) {
		at[0] = 2;
		exit(0);
	}
	wait(0);
	munmap(at, two);
	munmap(at + two, (pages - 1) * two);
	return 0;
}

/* space FILE: an address space with something of every kind in it, and a child that shares it; stays until killed. */
static int space(int count, char **words)
{
	const size_t two = 2ul << 20;
	char *at = anonymous(64), *shared = mmap(0, 32 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	char *big = mmap(0, 3 * two, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), *file, *pool;
	int descriptor = count ? open(words[0], O_RDWR | O_CLOEXEC) : -1;
	volatile char seen;

	if (descriptor < 0 || shared == MAP_FAILED || big == MAP_FAILED)
		fail("space");
	madvise(at, 64 * PAGE, MADV_NOHUGEPAGE);
	memset(at, 5, 40 * PAGE);
	mprotect(at + 4 * PAGE, 4 * PAGE, PROT_NONE);
	mprotect(at + 10 * PAGE, 2 * PAGE, PROT_READ);
	mlock(at + 20 * PAGE, 3 * PAGE);
	madvise(at + 30 * PAGE, 6 * PAGE, 21 /* MADV_PAGEOUT */);
	for (int page = 50; page < 55; page++)
		seen = at[page * PAGE];
	munmap(at + 15 * PAGE, 2 * PAGE);
	memset(shared, 6, 16 * PAGE);
	madvise(shared + 8 * PAGE, 4 * PAGE, 21);
	big = (char *)(((uintptr_t)big + two - 1) & ~(two - 1));
	madvise(big, 2 * two, MADV_HUGEPAGE);
	big[5] = 1;
	big[two] = 1;
	mprotect(big + two, PAGE, PROT_READ);
	file = mmap(0, 24 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 4 * PAGE);
	if (file == MAP_FAILED)
		fail(words[0]);
	seen = file[0];
	file[3 * PAGE] = 1;
	file = mmap(0, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, descriptor, 0);
	seen = file[PAGE];
	file[0] = seen;
	pool = mmap(0, 2 * two, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
	if (pool != MAP_FAILED)
		pool[0] = 1;
	if (!fork()) {
		at[0] = 1;
		munmap(shared, 4 * PAGE);
		puts("ready");
		pause();
		exit(0);
	}
	pause();
	return 0;
}

/* poison: pages of each kind taken out of use, softly and hard. */
static int poison(int count, char **words)
{
	char *at = anonymous(8);
	int status;

	(void)count;
	(void)words;
	memset(at, 1, 8 * PAGE);
	printf("{\"soft\":%d,", madvise(at, PAGE, 101 /* MADV_SOFT_OFFLINE */) ? errno : 0);
	printf("\"still\":%d,", at[0]);
	fflush(stdout);
	if (!fork()) {
		if (madvise(at + PAGE, PAGE, 100 /* MADV_HWPOISON */))
			_exit(errno);
		_exit(at[PAGE]); /* SIGBUS */
	}
	wait(&status);
	printf("\"hard_signal\":%d,\"hard_status\":%d}\n", WIFSIGNALED(status) ? WTERMSIG(status) : 0,
	       WIFEXITED(status) ? WEXITSTATUS(status) : 0);
	return 0;
}

/* across SEED STEPS: another task's memory read and written, whole and in part. */
static int across(int count, char **words)
{
	char *theirs = mmap(0, 16 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0), *ours = anonymous(16);
	pid_t child;

	if (count < 2 || theirs == MAP_FAILED)
		return 2;
	seed_with(words[0]);
	memset(theirs, 3, 16 * PAGE);
	child = fork();
	if (!child) {
		munmap(theirs + 8 * PAGE, PAGE);
		mprotect(theirs + 4 * PAGE, PAGE, PROT_NONE);
		pause();
		exit(0);
	}
	usleep(100000);
	for (long step = atol(words[1]); step > 0; step--) {
		struct iovec local[3], remote[3];
		int n = below(4), m = below(4), writing = below(2), flags = below(30) ? 0 : 1;
		ssize_t done;

		for (int k = 0; k < 3; k++) {
			local[k] = (struct iovec){ ours + below(15 * PAGE), below(2 * PAGE) % (PAGE - 7) };
			remote[k] = (struct iovec){ theirs + below(16 * PAGE), below(3 * PAGE) };
		}
		n = n > 3 ? 3 : n;
		m = m > 3 ? 3 : m;
		done = writing ? process_vm_writev(child, local, n, remote, m, flags) :
				 process_vm_readv(child, local, n, remote, m, flags);
		printf("{\"op\":\"%s\",\"flags\":%d,\"local\":[", writing ? "write" : "read", flags);
		for (int k = 0; k < n; k++)
			printf("%s[%ld,%zu]", k ? "," : "", (long)((char *)local[k].iov_base - ours), local[k].iov_len);
		printf("],\"remote\":[");
		for (int k = 0; k < m; k++)
			printf("%s[%ld,%zu]", k ? "," : "", (long)((char *)remote[k].iov_base - theirs), remote[k].iov_len);
		printf("],\"ret\":%zd,\"errno\":%d}\n", done, done < 0 ? errno : 0);
	}
	kill(child, 9);
	wait(0);
	return 0;
}

const struct command feature_commands[] = {
	{ "lazyfree", lazyfree }, { "same", same }, { "huge", huge }, { "reserved", reserved },
	{ "poison", poison }, { "space", space }, { "across", across }, { 0, 0 },
};
