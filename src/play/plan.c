/* What a run would do, as far as that can be said before it. */
#include "nefia/base/err.h"
#include "play_int.h"

int playbook_plan(const struct playbook *p, const struct playbook_values *v, unsigned step, int undo, struct op *op, struct text *text,
                  bool *open, struct text *why)
{
    const struct playbook_step *s = &p->steps[step];
    struct play_filler f = {.book = p, .values = v, .plan = true};
    const int err = play_op(&f, undo < 0 ? &s->op : &p->undos[s->undo_first + undo], op, text, why);

    *open = f.open;
    return err;
}

int playbook_plan_when(const struct playbook *p, const struct playbook_values *v, unsigned step, struct text *why)
{
    struct play_filler f = {.book = p, .values = v, .plan = true};
    char buf[2 * PLAYBOOK_OUTPUT_MAX];

    return p->steps[step].when ? play_when(&f, p->steps[step].when, buf, sizeof buf, why) : 1;
}
