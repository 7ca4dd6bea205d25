/* Finds the command, and what all commands share. */
#include "guest.h"

static uint64_t state = 88172645463325252ull;

void fail(const char *what)
{
	perror(what);
	exit(1);
}

void seed_with(const char *word)
{
	state = 88172645463325252ull ^ (strtoull(word, 0, 0) * 0x9e3779b97f4a7c15ull);
	if (!state)
		state = 1;
}

uint64_t next_word(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

uint64_t below(uint64_t limit)
{
	return limit ? next_word() % limit : 0;
}

static int marker_file = -2;

void open_marker(void)
{
	if (marker_file == -2)
		marker_file = open("/sys/kernel/tracing/trace_marker", O_WRONLY | O_CLOEXEC);
}

void marker(const char *text)
{
	open_marker();
	if (marker_file >= 0 && write(marker_file, text, strlen(text)) < 0)
		return;
}

char *anonymous(size_t pages)
{
	char *at = mmap(0, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED)
		fail("mmap");
	return at;
}

long number_in(const char *path)
{
	char text[64];
	int file = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got;

	if (file < 0)
		return -1;
	got = read(file, text, sizeof(text) - 1);
	close(file);
	if (got <= 0)
		return -1;
	text[got] = 0;
	return atol(text);
}

int main(int count, char **words)
{
	static const struct command *const tables[] = {
		mailbox_commands, memory_commands, file_commands, feature_commands, call_commands, area_commands,
	};

	setvbuf(stdout, 0, _IOLBF, 4096);
	if (count > 2 && !strcmp(words[1], "failing")) { /* the command after it, with requests for memory refused */
		int file = open("/proc/self/make-it-fail", O_WRONLY | O_CLOEXEC);

		if (file < 0 || write(file, "1", 1) != 1)
			fail("make-it-fail");
		close(file);
		words++;
		count--;
	}
	if (count < 2) {
		fprintf(stderr, "guest COMMAND ...\n");
		return 2;
	}
	for (size_t table = 0; table < sizeof(tables) / sizeof(*tables); table++)
		for (const struct command *c = tables[table]; c->name; c++)
			if (!strcmp(c->name, words[1]))
				return c->run(count - 2, words + 2);
	fprintf(stderr, "guest: no command %s\n", words[1]);
	return 2;
}
