/* A JSON reader that walks the text; documents come from hcsshim and are well formed. */
#include "hcs.h"

static const WCHAR *js_ws(const WCHAR *p)
{
    while (*p == ' ' || *p == '\t' || *p == '\r' || *p == '\n') p++;
    return p;
}

static const WCHAR *js_skip_string(const WCHAR *p)
{
    for (p++; *p && *p != '"'; p++)
        if (*p == '\\' && p[1]) p++;
    return *p ? p + 1 : p;
}

static const WCHAR *js_skip_scalar(const WCHAR *p)
{
    while (*p && *p != ',' && *p != '}' && *p != ']') p++;
    return p;
}

/* The text behind the value at p. */
static const WCHAR *js_skip(const WCHAR *p)
{
    int depth = 0;

    p = js_ws(p);
    if (*p == '"') return js_skip_string(p);
    if (*p != '{' && *p != '[') return js_skip_scalar(p);
    while (*p) {
        if (*p == '"') {
            p = js_skip_string(p);
            continue;
        }
        if (*p == '{' || *p == '[') depth++;
        if ((*p == '}' || *p == ']') && !--depth) return p + 1;
        p++;
    }
    return p;
}

static WCHAR js_hex(const WCHAR **p)
{
    WCHAR hex[5] = { 0 };
    int i;

    for (i = 0; i < 4 && (*p)[1]; i++) hex[i] = *++*p;
    return (WCHAR)wcstoul(hex, NULL, 16);
}

WCHAR *js_string(const WCHAR *p)
{
    WCHAR *out, *o;

    if (!p || *(p = js_ws(p)) != '"') return NULL;
    out = o = alloc((wcslen(p) + 1) * sizeof(WCHAR));
    for (p++; *p && *p != '"'; p++) {
        if (*p != '\\') {
            *o++ = *p;
            continue;
        }
        switch (*++p) {
        case 'n': *o++ = '\n'; break;
        case 't': *o++ = '\t'; break;
        case 'r': *o++ = '\r'; break;
        case 'b': *o++ = '\b'; break;
        case 'f': *o++ = '\f'; break;
        case 'u': *o++ = js_hex(&p); break;
        case 0: p--; break;
        default: *o++ = *p;
        }
    }
    *o = 0;
    return out;
}

/* Steps through an object's members: *it starts at its '{'. */
BOOL js_next(const WCHAR **it, WCHAR **key, const WCHAR **val)
{
    const WCHAR *p = js_ws(*it);

    if (*p != '{' && *p != ',') return FALSE;
    p = js_ws(p + 1);
    if (*p != '"') return FALSE;
    *key = js_string(p);
    p = js_ws(js_skip_string(p));
    if (*p != ':') {
        free(*key);
        return FALSE;
    }
    *val = js_ws(p + 1);
    *it = js_ws(js_skip(*val));
    return TRUE;
}

const WCHAR *js_get(const WCHAR *obj, const WCHAR *name)
{
    const WCHAR *v;
    WCHAR *k;

    if (!obj) return NULL;
    while (js_next(&obj, &k, &v)) {
        BOOL hit = !wcscmp(k, name);
        free(k);
        if (hit) return v;
    }
    return NULL;
}

BOOL js_true(const WCHAR *v)
{
    return v && !wcsncmp(js_ws(v), L"true", 4);
}

long js_int(const WCHAR *v)
{
    return v ? wcstol(js_ws(v), NULL, 10) : 0;
}
