#ifndef NEFIA_HUB_DEVICES_H
#define NEFIA_HUB_DEVICES_H

#include "nefia/hub/settings.h"

struct status_view;
struct control_cursor;

/** The device table (CONFIG_HUB_DEVICES): what the hub knows of the hosts in reactor.hosts beside their
 * keys, and when they were last seen.
 *
 * A role and a label's value are words of 1 to HOST_WORD_MAX letters, digits, `.`, `_` and `-`. A label's
 * key has lower-case letters, digits and `_`, begins with a letter, and is at most HOST_LABEL_KEY_MAX
 * bytes long, so that no two keys make the same environment variable. */

/** For FIELD_SET, with a `const char *` as member. */
int device_set_word(void *member, const char *value, struct text *why);
/** Bind `labels` of the map n, the item's, into s. Problems are reported. */
void device_bind_labels(struct hub_settings *s, struct host_item *item, struct config *c,
                        const struct node *n, const char *where);
/** Report `hosts` and `keys` in one section. */
void devices_check_names(struct config *c, const struct node *reactor);
/** Into s, which is about to become active: when its hosts were last seen, from the settings before. */
void devices_carry(struct hub_settings *s, const struct hub_settings *before);

/** The record of one item, {"host":{…}}. Return: 0 behind the last one, else these bits. */
enum { DEVICE_PUT = 1, DEVICE_REMEMBERED = 2 /* its windows are */, DEVICE_CONNECTED = 4 };
unsigned devices_put(const struct status_view *v, unsigned index, struct text *out);
/** The verb `hosts`: those records, and {"others":{…}} with how many hosts have no item. */
int devices_produce(void *view, struct control_cursor *cursor, struct text *out);

#endif
