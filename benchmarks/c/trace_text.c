/*
 * C twin of linuxmm.fast.trace_text: reads ftrace text into columns, line by line and byte by byte.
 *
 * Build: gcc -O2 -shared -fPIC.  One entry: parse() over a buffer of complete lines followed by 64 newlines.
 * It keeps the tracepoints of the page allocator and the kprobes of the same layouts, checks what the
 * compiled Python checks (column, numbers, order of time, required fields), and returns the rows read.
 */
#include <stdint.h>
#include <string.h>

enum { PAGE, PFN, ORDER, MT, A, B, C, WORDS };
enum { NUMBER, HEX, GFP };

struct field {
	const char *key;
	int size, column, form, shift;
	int64_t mask, low, high;
};

struct layout {
	const char *name;
	int name_size;
	const char *symbol;
	int symbol_size, returns, kind, order, first, last, next;
	int64_t required;
};

struct words {
	int count;
	int offset[4096], size[4096];
	int64_t value[4096];
	char arena[1 << 18];
};

static inline int same(const char *a, const unsigned char *b, int size)
{
	int k = 0;

	while (k < size && (unsigned char)a[k] == b[k])
		k++;
	return k == size;
}

static int64_t number(const unsigned char **at, int form, int *digits)
{
	const unsigned char *p = *at, *start;
	uint64_t v = 0;
	int minus = 0;

	if (p[0] == '0' && (p[1] | 32) == 'x') {
		p += 2;
		form = HEX;
	}
	if (form != HEX && *p == '-') {
		minus = 1;
		p++;
	}
	start = p;
	if (form == HEX) {
		for (;; p++) {
			unsigned c = *p - '0';
			if (c > 9) {
				c = (*p | 32) - 'a';
				if (c > 5)
					break;
				c += 10;
			}
			if (p - start > 15 && v >> 60) {
				*digits = -1;
				return 0;
			}
			v = v << 4 | c;
		}
	} else {
		for (; (unsigned)(*p - '0') <= 9; p++) {
			if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, *p - '0', &v)) {
				*digits = -1;
				return 0;
			}
		}
	}
	*digits = p - start;
	*at = p;
	return minus ? -(int64_t)v : (int64_t)v;
}

static const unsigned char *spaces(const unsigned char *p)
{
	while (*p == ' ')
		p++;
	return p;
}

static int context(const unsigned char *p, const unsigned char *q)
{
	int bits = 0;

	if (q - p < 4 || q - p > 8)
		return -1;
	switch (p[0]) {
	case 'd': bits = 1; break;
	case 'D': bits = 3; break;
	case 'b': bits = 2; break;
	case '.': case 'X': break;
	default: return -1;
	}
	switch (p[2]) {
	case 'Z': bits |= 20; break;
	case 'z': bits |= 16; break;
	case 'H': bits |= 12; break;
	case 'h': bits |= 4; break;
	case 's': bits |= 8; break;
	case '.': break;
	default: return -1;
	}
	if (p[3] != '.')
		bits |= 32;
	if (q - p > 4 && p[4] != '.')
		bits |= 64;
	return bits;
}

static int64_t flags(const unsigned char *p, int size, struct words *w)
{
	for (int k = 0; k < w->count; k++)
		if (w->size[k] == size && !memcmp(w->arena + w->offset[k], p, size))
			return w->value[k];
	return -1;
}

/* Rows read; -(byte offset) - 1 of a line that is bad. */
int64_t parse(const unsigned char *buf, int64_t end, const struct field *fields, const struct layout *layouts,
	      int count, struct words *gfp, int64_t *ts, int16_t *cpu, int32_t *pid, uint8_t *ctx,
	      uint8_t *kind, int64_t *line, int64_t *words, int64_t room)
{
	const unsigned char *p = buf, *q, *stop = buf + end;
	int64_t n = 0, number_of_line = 1, last = -1;

	for (; p < stop; p++, number_of_line++) {
		const unsigned char *start = p;
		int digits, l, breaks = 0;
		int64_t v, w;

		if (*p == '#' || *p == '\n')
			goto skip;
		for (int k = 0; k < 17; k++)
			breaks |= p[k] == '\n';
		if (breaks || p[16] != '-')
			goto bad;
		p += 17;
		pid[n] = number(&p, NUMBER, &digits);
		if (digits <= 0 || *p != ' ')
			goto bad;
		p = spaces(p);
		if (*p++ != '[')
			goto bad;
		cpu[n] = number(&p, NUMBER, &digits);
		if (digits <= 0 || *p++ != ']')
			goto bad;
		p = spaces(p);
		for (q = p; *q != ' ' && *q != '\n'; q++)
			;
		if ((l = context(p, q)) < 0)
			goto bad;
		ctx[n] = l;
		p = spaces(q);
		v = number(&p, NUMBER, &digits);
		if (digits <= 0 || *p++ != '.')
			goto bad;
		w = number(&p, NUMBER, &digits);
		if (digits != 6 || *p++ != ':')
			goto bad;
		ts[n] = v * 1000000000 + w * 1000;
		if (ts[n] < last)
			goto bad;
		last = ts[n];
		p = spaces(p);
		for (q = p; *q != ':' && *q != ' ' && *q != '\n'; q++)
			;
		if (*q != ':')
			goto bad;
		for (l = 0; l < count; l++)
			if (layouts[l].name_size == q - p && same(layouts[l].name, p, q - p))
				break;
		if (l == count)
			goto skip;
		p = spaces(q + 1);
		if (layouts[l].symbol_size) {
			const unsigned char *symbol = p + 1, *arrow = 0;

			if (*p != '(')
				goto skip;
			for (; *p != ')'; p++) {
				if (*p == '\n')
					goto bad;
				if (p[0] == '<' && p[1] == '-' && p[2] == ' ')
					arrow = p + 3;
			}
			if (arrow)
				symbol = arrow;
			for (; l >= 0; l = layouts[l].next)
				if (layouts[l].returns == !!arrow &&
				    same(layouts[l].symbol, symbol, layouts[l].symbol_size))
					break;
			if (l < 0)
				goto skip;
			p = spaces(p + 1);
		}
		int64_t seen = 0, cell[WORDS] = { 1, -1, layouts[l].order, -1, 0, 0, 0 };
		int first = layouts[l].first, f = first;

		while (*p != '\n') {
			if (f >= layouts[l].last || !same(fields[f].key, p, fields[f].size) || p[fields[f].size] != '=')
				for (f = first; f < layouts[l].last; f++)
					if (same(fields[f].key, p, fields[f].size) && p[fields[f].size] == '=')
						break;
			if (f == layouts[l].last) {
				while (*p != ' ' && *p != '\n')
					p++;
				p = spaces(p);
				f = first;
				continue;
			}
			p += fields[f].size + 1;
			if (seen >> (f - first) & 1)
				goto bad;
			seen |= 1LL << (f - first);
			if (fields[f].form == GFP) {
				for (q = p; *q != ' ' && *q != '\n'; q++)
					;
				v = flags(p, q - p, gfp);
				p = q;
			} else {
				v = number(&p, fields[f].form, &digits);
				if (digits <= 0 || (*p != ' ' && *p != '\n'))
					goto bad;
			}
			if (v < fields[f].low || v > fields[f].high)
				goto bad;
			if (fields[f].mask != -1)
				cell[fields[f].column] |= (v & fields[f].mask) << fields[f].shift;
			else
				cell[fields[f].column] = v;
			p = spaces(p);
			f++;
		}
		if ((seen & layouts[l].required) != layouts[l].required || n + 1 >= room)
			goto bad;
		for (int k = 0; k < WORDS; k++)
			words[k * room + n] = cell[k];
		kind[n] = layouts[l].kind;
		line[n] = number_of_line;
		n++;
		continue;
skip:
		while (*p != '\n')
			p++;
		continue;
bad:
		return -(start - buf) - 1;
	}
	return n;
}
