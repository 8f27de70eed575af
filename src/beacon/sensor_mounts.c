#include <string.h>
#include <unistd.h>

#include "nefia/beacon/sensor.h"

/* Mounts as the kernel lists them, so that none of them has to be touched. */

bool mount_read(struct mount *m, const char *line)
{
    const char *type = str_find(line, " - ");

    for (unsigned i = 0; type && i < MOUNT_WORDS; i++) {
        m->word[i] = i == MOUNT_TYPE ? type + 3 : line;
        line = m->word[i] + strcspn(m->word[i], " ");
        line += *line == ' ';
    }
    return type != NULL;
}

/** The next byte of a word. Return: -1 at its end. */
static int next_byte(const char **word)
{
    const char *at = *word;

    if (strchr(" \t", *at)) /* or its NUL */
        return -1;
    *word = at + 1;
    if (*at != '\\' || strspn(at + 1, "01234567") < 3)
        return (unsigned char)*at;
    *word = at + 4;
    return ((at[1] - '0') << 6 | (at[2] - '0') << 3 | (at[3] - '0')) & 0xff;
}

size_t mount_word(const char *word, const char *text)
{
    size_t n = 0;

    for (int c; (c = next_byte(&word)) >= 0; n++)
        if (!text[n] || (unsigned char)text[n] != c)
            return 0;
    return n;
}

void mount_text(struct text *t, const char *word)
{
    for (int c; (c = next_byte(&word)) >= 0;)
        text_char(t, (char)c);
}

size_t mount_holds(const struct mount *m, const char *path)
{
    const size_t n = mount_word(m->word[MOUNT_PATH], path);

    return n == 1 || path[n] == '\0' || path[n] == '/' ? n : 0;
}

bool mount_may_hang(const struct mount *m)
{
    static const char types[] = "nfs\0cifs\0smb\0fuse\0" "9p\0afs\0ceph\0autofs\0virtiofs\0coda\0lustre\0";

    for (const char *word = types; *word; word = word_at(word, 1))
        if (strncmp(m->word[MOUNT_TYPE], word, strlen(word)) == 0)
            return true;
    return false;
}

bool apart_hangs(const struct apart *a)
{
    return a->child && getpgid(a->child) == a->group;
}
