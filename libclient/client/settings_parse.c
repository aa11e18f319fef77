/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "client/settings.h"

#include "base/mem.h"

/*
 * Java's properties format: a logical line is natural lines joined where one ends in an odd number
 * of backslashes; leading blanks are dropped; '#' and '!' begin a comment; the key ends at the
 * first unescaped '=', ':' or blank; \t \n \r \f and \uXXXX are escapes, any other escaped
 * character stands for itself. The text is taken as UTF-8.
 */
struct reader {
    const char *at, *end;
    unsigned line;
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\f';
}

static void skip_blanks(struct reader *r)
{
    while (r->at < r->end && is_blank(*r->at))
        r->at++;
}

/* At an end of line: passes it. */
static bool end_of_line(struct reader *r)
{
    if (r->at == r->end)
        return true;
    if (*r->at != '\n' && *r->at != '\r')
        return false;
    if (*r->at == '\r' && r->at + 1 < r->end && r->at[1] == '\n')
        r->at++;
    r->at++;
    r->line++;
    return true;
}

static int hex(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

static void add_char(struct ferry_text *to, uint32_t c)
{
    char b[4];
    size_t n = 0;
    if (c < 0x80) {
        b[n++] = (char)c;
    } else if (c < 0x800) {
        b[n++] = (char)(0xc0 | c >> 6);
        b[n++] = (char)(0x80 | (c & 63));
    } else {
        b[n++] = (char)(0xe0 | c >> 12);
        b[n++] = (char)(0x80 | (c >> 6 & 63));
        b[n++] = (char)(0x80 | (c & 63));
    }
    ferry_text_add_bytes(to, b, n);
}

/* After a backslash. A continued line adds nothing. */
static int escape(struct reader *r, struct ferry_text *to)
{
    if (r->at == r->end)
        return 0;
    if (*r->at == '\n' || *r->at == '\r') {
        end_of_line(r);
        skip_blanks(r);
        return 0;
    }
    char c = *r->at++;
    if (c == 'u') {
        uint32_t value = 0;
        for (int i = 0; i < 4; i++) {
            int digit = r->at < r->end ? hex(*r->at++) : -1;
            if (digit < 0)
                return FERRY_E_CONFIG;
            value = value << 4 | (uint32_t)digit;
        }
        if (!value || (value >= 0xd800 && value < 0xe000))
            return FERRY_E_CONFIG;
        add_char(to, value);
        return 0;
    }
    char plain = c == 't' ? '\t' : c == 'n' ? '\n' : c == 'r' ? '\r' : c == 'f' ? '\f' : c;
    ferry_text_add_bytes(to, &plain, 1);
    return 0;
}

static int read_token(struct reader *r, struct ferry_text *to, bool is_key)
{
    while (r->at < r->end && *r->at != '\n' && *r->at != '\r') {
        char c = *r->at;
        if (is_key && (c == '=' || c == ':' || is_blank(c)))
            return 0;
        r->at++;
        if (c == '\\') {
            if (escape(r, to))
                return FERRY_E_CONFIG;
        } else {
            ferry_text_add_bytes(to, &c, 1);
        }
    }
    return 0;
}

static void skip_separator(struct reader *r)
{
    skip_blanks(r);
    if (r->at < r->end && (*r->at == '=' || *r->at == ':')) {
        r->at++;
        skip_blanks(r);
    }
}

static int read_pair(struct reader *r, struct ferry_text *key, struct ferry_text *value,
                     struct ferry_error *err)
{
    if (read_token(r, key, true))
        return ferry_fail(err, FERRY_E_CONFIG,
                          "line %u: \\u needs four hexadecimal digits of a character", r->line);
    skip_separator(r);
    if (read_token(r, value, false))
        return ferry_fail(err, FERRY_E_CONFIG,
                          "line %u: \\u needs four hexadecimal digits of a character", r->line);
    while (value->len &&
           is_blank(value->data[value->len - 1])) /* Java keeps these; nobody means them */
        value->data[--value->len] = 0;
    if (key->failed || value->failed)
        return ferry_fail(err, FERRY_E_NOMEM, "line %u: no memory", r->line);
    return 0;
}

static int set_pair(struct ferry_config *c, const struct ferry_text *key,
                    const struct ferry_text *value, unsigned line, struct ferry_error *err)
{
    const char *k = key->len ? key->data : "", *v = value->len ? value->data : "";
    if ((key->len && memchr(k, 0, key->len)) || (value->len && memchr(v, 0, value->len)))
        return ferry_fail(err, FERRY_E_CONFIG, "line %u: a zero byte", line);
    struct ferry_error inner;
    int code = ferry_settings_set(c, k, v, &inner);
    return code ? ferry_fail(err, code, "line %u: %.480s", line, inner.text) : 0;
}

int ferry_settings_parse(struct ferry_config *c, const char *text, size_t len,
                         struct ferry_error *err)
{
    struct reader r = {text, text + len, 1};
    int code = 0;
    while (!code && r.at < r.end) {
        skip_blanks(&r);
        if (r.at < r.end && (*r.at == '#' || *r.at == '!')) {
            while (r.at < r.end && *r.at != '\n' && *r.at != '\r')
                r.at++;
        }
        if (end_of_line(&r))
            continue;
        unsigned line = r.line;
        struct ferry_text key = {0}, value = {0};
        code = read_pair(&r, &key, &value, err);
        if (!code)
            code = set_pair(c, &key, &value, line, err);
        ferry_text_free(&key);
        ferry_text_free(&value);
    }
    return code;
}
