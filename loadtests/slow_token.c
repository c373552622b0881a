/* A PKCS#11 module before another one, which answers as late as an HSM in the network would.
 *
 * C_Sign and C_UnwrapKey first sleep SLOW_TOKEN_MS milliseconds, which costs no processor time,
 * and then go on in the module SLOW_TOKEN_MODULE; both are environment variables. Everything else
 * is that module's own. For measurements only: no part of the service knows of it.
 *
 *     cc -shared -fPIC -O2 -Wall -Wextra -Werror -o slow_token.so slow_token.c -ldl
 *
 * No header of PKCS#11 is needed. CK_FUNCTION_LIST (v2.40, pkcs11f.h) is a version and then 68
 * pointers in the order of that file; two of them are exchanged.
 */

#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <time.h>

typedef unsigned long word; /* CK_ULONG, CK_RV and the handles */
typedef void (*function)(void);

enum { SIGN = 43, UNWRAP_KEY = 61, FUNCTIONS = 68 };
enum { CKR_OK = 0, CKR_GENERAL_ERROR = 5 };

struct list {
    unsigned char version[2];
    function functions[FUNCTIONS];
};

typedef word get_list(struct list **);
typedef word sign(word session, void *data, word length, void *signature, word *signature_length);
typedef word unwrap_key(word session, void *mechanism, word unwrapping_key, void *wrapped,
                        word length, void *template, word attributes, word *key);

static struct list own;
static sign *true_sign;
static unwrap_key *true_unwrap_key;
static struct timespec latency;

static void wait(void)
{
    struct timespec left = latency;
    while (nanosleep(&left, &left) != 0 && errno == EINTR)
        ;
}

static word slow_sign(word session, void *data, word length, void *signature, word *signature_length)
{
    if (signature != NULL) /* else it is only asked how long it will be */
        wait();
    return true_sign(session, data, length, signature, signature_length);
}

static word slow_unwrap_key(word session, void *mechanism, word unwrapping_key, void *wrapped,
                            word length, void *template, word attributes, word *key)
{
    wait();
    return true_unwrap_key(session, mechanism, unwrapping_key, wrapped, length, template,
                           attributes, key);
}

static word load(void)
{
    const char *module = getenv("SLOW_TOKEN_MODULE"), *told = getenv("SLOW_TOKEN_MS");
    void *library = module != NULL && told != NULL ? dlopen(module, RTLD_NOW | RTLD_LOCAL) : NULL;
    get_list *get = library != NULL ? (get_list *)dlsym(library, "C_GetFunctionList") : NULL;
    struct list *found;

    if (get == NULL || get(&found) != CKR_OK)
        return CKR_GENERAL_ERROR;
    double seconds = atof(told) / 1000;
    latency.tv_sec = (time_t)seconds;
    latency.tv_nsec = (long)((seconds - (double)latency.tv_sec) * 1e9);
    own = *found;
    true_sign = (sign *)own.functions[SIGN];
    true_unwrap_key = (unwrap_key *)own.functions[UNWRAP_KEY];
    own.functions[SIGN] = (function)slow_sign;
    own.functions[UNWRAP_KEY] = (function)slow_unwrap_key;
    return CKR_OK;
}

/* PKCS#11 v2.40 cl. 5.4: the one function that is looked up by its name. */
word C_GetFunctionList(struct list **list)
{
    word result = true_sign != NULL ? CKR_OK : load();

    if (result == CKR_OK)
        *list = &own;
    return result;
}
