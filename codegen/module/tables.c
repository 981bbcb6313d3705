/* tables.c - the module's tables (codegen/abi.h) as constants of one more object file, and the function that
 * hands them out. The structs are described once more as LLVM types; check_layouts compares those with what
 * the C compiler makes of codegen/abi.h, so that a change of one without the other cannot pass unnoticed. */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include "codegen/llvm/lower.h"
#include "codegen/module/constants.h"
#include "codegen/gpu/simt.h"
#include "ir/validate.h"

/* The graph's enums are the module's. */
_Static_assert((int)NETC_F32 == (int)F32 && (int)NETC_I32 == (int)I32, "element types");
_Static_assert((int)NETC_INIT_CONST == (int)INIT_CONST && (int)NETC_INIT_COPY == (int)INIT_COPY,
               "initialisers");
_Static_assert((int)NETC_ROLE_PARAM == (int)ROLE_PARAM && (int)NETC_ROLE_OPTIM == (int)ROLE_OPTIM, "roles");
_Static_assert((int)NETC_FN_TRAIN == (int)FN_TRAIN && (int)NETC_FN_FORWARD == (int)FN_FORWARD, "functions");
#define FIELD(name, word, type, element, content, maker, draw)                                               \
  _Static_assert((int)NETC_FIELD_##name == (int)FIELD_##name, "field " word);
#include "ir/fields.def"
#undef FIELD
_Static_assert((int)NETC_SRC_LABELED == (int)SRC_LABELED && (int)NETC_SRC_ALL == (int)SRC_ALL, "sources");
#define AUGMENT(name, word, ...)                                                                             \
  _Static_assert((int)NETC_AUG_##name == (int)AUG_##name, "augmentation " word);
#include "ir/augment.def"
#undef AUGMENT
_Static_assert((int)NETC_AUGMENT_VALUES == (int)AUGMENT_VALUES && (int)NETC_AUGMENT_MOST == (int)AUGMENT_MOST,
               "sizes of augmentations");
_Static_assert((int)NETC_MAX_RANK == (int)MAX_RANK, "ranks");

static LLVMTypeRef record(const Tables *t, const char *fields) {
  LLVMTypeRef f[32];
  unsigned n = 0;
  for (; *fields; fields++) switch (*fields) {
    case 'p': f[n++] = t->ptr; break;
    case 'i': f[n++] = t->i32; break;
    case 'l': f[n++] = t->i64; break;
    case 'd': f[n++] = t->f64; break;
    case 'D': f[n++] = LLVMArrayType2(t->i64, NETC_MAX_RANK); break;
    case 'O': f[n++] = LLVMArrayType2(t->i8, NETC_MAX_RANK + 2); break;
    case 'C': f[n++] = LLVMArrayType2(t->ptr, NETC_ISA_COUNT); break;
    case 'V': f[n++] = LLVMArrayType2(t->f64, NETC_AUGMENT_VALUES); break;
    case 'E': f[n++] = LLVMArrayType2(t->i8, sizeof((NetcPrepare *)0)->orientation); break;
    case 'P': f[n++] = LLVMArrayType2(t->ptr, NETC_SM_COUNT); break;
    default: f[n++] = t->type[T_ARRAY]; break;
    }
  return LLVMStructTypeInContext(t->c, f, n, false);
}

/* Fields in order: p pointer, i i32, l i64, d double, D dim, O order, C code, P ptx, V values, E orientation,
 * A NetcArray. */
static const struct {
  const char *name, *fields;
  size_t bytes, last; /* size of the struct, offset of its last field */
} layout[T_COUNT] = {
    [T_ARRAY] = {"NetcArray", "piiDOll", sizeof(NetcArray), offsetof(NetcArray, bytes)},
    [T_VAR] = {"NetcVar", "Aiiddpii", sizeof(NetcVar), offsetof(NetcVar, pad)},
    [T_NET] = {"NetcNet", "pll", sizeof(NetcNet), offsetof(NetcNet, macs)},
    [T_KERNEL] = {"NetcKernel", "ppCllll", sizeof(NetcKernel), offsetof(NetcKernel, pair_flops)},
    [T_PLACE] = {"NetcSourceLine", "ppii", sizeof(NetcSourceLine), offsetof(NetcSourceLine, caller)},
    [T_LAUNCH] = {"NetcLaunch", "iilii", sizeof(NetcLaunch), offsetof(NetcLaunch, place)},
    [T_FN] = {"NetcFn", "piiiippppll", sizeof(NetcFn), offsetof(NetcFn, scratch)},
    [T_FIELD] = {"NetcField", "pii", sizeof(NetcField), offsetof(NetcField, input)},
    [T_AUGMENT] = {"NetcAugment", "iidV", sizeof(NetcAugment), offsetof(NetcAugment, value)},
    [T_STREAM] = {"NetcStream", "piiiipppd", sizeof(NetcStream), offsetof(NetcStream, foreground)},
    [T_DEVICE_TEXT] = {"NetcDeviceText", "P", sizeof(NetcDeviceText), offsetof(NetcDeviceText, ptx)},
    [T_DEVICE_CODE] = {"NetcDeviceCode", "piiiiii", sizeof(NetcDeviceCode),
                       offsetof(NetcDeviceCode, nparams)},
    [T_DEVICE_KERNEL] = {"NetcDeviceKernel", "ppiilllp", sizeof(NetcDeviceKernel),
                         offsetof(NetcDeviceKernel, params)},
    [T_DEVICE_FILL] = {"NetcDeviceFill", "iiiil", sizeof(NetcDeviceFill), offsetof(NetcDeviceFill, tasks)},
    [T_DEVICE] = {"NetcDevice", "liiiippppp", sizeof(NetcDevice), offsetof(NetcDevice, fns)},
    [T_INTENSITY] = {"NetcIntensity", "iiddddd", sizeof(NetcIntensity), offsetof(NetcIntensity, scale)},
    [T_LABEL] = {"NetcLabelRule", "lii", sizeof(NetcLabelRule), offsetof(NetcLabelRule, cls)},
    [T_REGION] = {"NetcRegion", "pii", sizeof(NetcRegion), offsetof(NetcRegion, pad)},
    [T_PREPARE] = {"NetcPrepare",
                   "pppppp"
                   "iiiiiiiiiiiiii"
                   "Eddd"
                   "llldd",
                   sizeof(NetcPrepare), offsetof(NetcPrepare, drop)},
    [T_VALIDATION] = {"NetcValidation", "lpp", sizeof(NetcValidation), offsetof(NetcValidation, val)},
    [T_MODULE] = {"NetcModule",
                  "iippplll"
                  "iiiiii"
                  "pppppp"
                  "llllppp",
                  sizeof(NetcModule), offsetof(NetcModule, validation)},
};

static void make_types(Tables *t) {
  t->ptr = LLVMPointerTypeInContext(t->c, 0);
  t->i8 = LLVMInt8TypeInContext(t->c);
  t->i32 = LLVMInt32TypeInContext(t->c);
  t->i64 = LLVMInt64TypeInContext(t->c);
  t->f64 = LLVMDoubleTypeInContext(t->c);
  for (int i = 0; i < T_COUNT; i++) t->type[i] = record(t, layout[i].fields);
}

static bool check_layouts(const Tables *t, LLVMTargetMachineRef tm, char err[IR_ERR]) {
  LLVMTargetDataRef data = LLVMCreateTargetDataLayout(tm);
  bool good = true;
  for (int i = 0; i < T_COUNT && good; i++) {
    unsigned n = LLVMCountStructElementTypes(t->type[i]);
    good = LLVMABISizeOfType(data, t->type[i]) == layout[i].bytes &&
           LLVMOffsetOfElement(data, t->type[i], n - 1) == layout[i].last;
    if (!good) ir_error(err, "internal error: %s of abi.h and of tables.c differ", layout[i].name);
  }
  LLVMSetModuleDataLayout(t->m, data);
  LLVMDisposeTargetData(data);
  return good;
}

static LLVMValueRef array(const Tables *t, const char *name, Type type, const uint8_t *order,
                          int64_t offset) {
  LLVMValueRef dim[NETC_MAX_RANK], axis[NETC_MAX_RANK + 2];
  for (int i = 0; i < NETC_MAX_RANK; i++) dim[i] = int64(t, i < type.rank ? type.dim[i] : 0);
  for (int i = 0; i < NETC_MAX_RANK + 2; i++)
    axis[i] = LLVMConstInt(t->i8, i < type.rank ? order[i] : 0, false);
  return RECORD(t, text(t, name), int32(t, type.dt), int32(t, type.rank),
                LLVMConstArray2(t->i64, dim, NETC_MAX_RANK), LLVMConstArray2(t->i8, axis, NETC_MAX_RANK + 2),
                int64(t, offset), int64(t, type_bytes(type)));
}

/* ---- tables ---- */
static LLVMValueRef vars(const Tables *t) {
  const Program *p = t->mod->prog;
  LLVMValueRef *v = values(t, p->nvar);
  for (int i = 0; i < p->nvar; i++) {
    const Var *x = &p->var[i];
    v[i] = RECORD(t, array(t, x->name, x->type, x->order, t->mod->var_offset[i]), int32(t, x->init.kind),
                  int32(t, x->role), real(t, x->init.a), real(t, x->init.b), text(t, x->init.from),
                  int32(t, x->net), int32(t, 0));
  }
  return table(t, "vars", t->type[T_VAR], v, p->nvar);
}

static LLVMValueRef nets(const Tables *t) {
  const Program *p = t->mod->prog;
  LLVMValueRef *v = values(t, p->nnet);
  for (int i = 0; i < p->nnet; i++) {
    int64_t parameters = 0;
    for (int j = 0; j < p->nvar; j++)
      if (p->var[j].net == i && (p->var[j].role == ROLE_PARAM || p->var[j].role == ROLE_EMA))
        parameters += type_count(p->var[j].type);
    v[i] = RECORD(t, text(t, p->net[i].name), int64(t, parameters), int64(t, p->net[i].macs));
  }
  return table(t, "nets", t->type[T_NET], v, p->nnet);
}

static LLVMValueRef kernels(const Tables *t) {
  const Module *m = t->mod;
  LLVMTypeRef param[3] = {t->ptr, t->ptr, t->i64};
  LLVMTypeRef fn = LLVMFunctionType(LLVMVoidTypeInContext(t->c), param, 3, false);
  LLVMValueRef *v = values(t, m->nkernel);
  for (int i = 0; i < m->nkernel; i++) {
    const Kernel *k = &m->kernel[i];
    LLVMValueRef code[NETC_ISA_COUNT];
    for (int isa = 0; isa < NETC_ISA_COUNT; isa++) {
      char symbol[64];
      code[isa] = null(t);
      if (!(m->isas >> isa & 1)) continue;
      code_symbol(symbol, &m->code[m->code_of[isa][i]]);
      code[isa] = LLVMGetNamedFunction(t->m, symbol);
      if (code[isa]) continue; /* another kernel's code as well */
      code[isa] = LLVMAddFunction(t->m, symbol, fn);
      LLVMSetVisibility(code[isa], LLVMHiddenVisibility);
    }
    v[i] = RECORD(t, text(t, k->name), text(t, k->op), LLVMConstArray2(t->ptr, code, NETC_ISA_COUNT),
                  int64(t, k->flops), int64(t, k->bytes), int64(t, k->work), int64(t, k->pair_flops));
  }
  return table(t, "kernels", t->type[T_KERNEL], v, m->nkernel);
}

static LLVMValueRef launches(const Tables *t, const FnPlan *p, LLVMValueRef *args) {
  const Emit *e = p->e;
  int nargs = 0;
  for (int i = 0; i < e->nlaunch; i++) nargs += e->launch[i].nargs;
  LLVMValueRef *v = values(t, e->nlaunch), *a = values(t, nargs);
  int at = 0;
  for (int i = 0; i < e->nlaunch; i++) {
    const Launch *l = &e->launch[i];
    int place = l->node >= 0 ? place_index(t->places, e->fn->node[l->node].loc) : -1;
    v[i] =
        RECORD(t, int32(t, l->kernel), int32(t, l->nargs), int64(t, l->tasks), int32(t, at), int32(t, place));
    for (int j = 0; j < l->nargs; j++) a[at++] = int64(t, p->offset[l->arg[j]]);
  }
  *args = table(t, "args", t->i64, a, nargs);
  return table(t, "launches", t->type[T_LAUNCH], v, e->nlaunch);
}

static LLVMValueRef function(const Tables *t, const FnPlan *p) {
  const Fn *f = p->fn;
  LLVMValueRef *in = values(t, p->ninput), *out = values(t, f->nout), args;
  for (int i = 0; i < p->ninput; i++)
    in[i] = array(t, p->input[i].name, p->input[i].type, p->input[i].order, p->offset[p->input[i].buffer]);
  for (int i = 0; i < f->nout; i++) {
    const Node *n = &f->node[f->out[i].node];
    out[i] = array(t, f->out[i].name, n->type, n->order, p->offset[p->output[i]]);
  }
  LLVMValueRef launch = launches(t, p, &args);
  return RECORD(t, text(t, f->name), int32(t, f->kind), int32(t, p->ninput), int32(t, f->nout),
                int32(t, p->e->nlaunch), table(t, "inputs", t->type[T_ARRAY], in, p->ninput),
                table(t, "outputs", t->type[T_ARRAY], out, f->nout), launch, args, int64(t, p->temporaries),
                int64(t, p->scratch));
}

static LLVMValueRef places(const Tables *t) {
  const Places *p = t->places;
  LLVMValueRef *v = values(t, p->n);
  for (int i = 0; i < p->n; i++)
    v[i] = RECORD(t, text(t, p->place[i].file), text(t, p->place[i].block), int32(t, p->place[i].line),
                  int32(t, p->place[i].caller));
  return table(t, "places", t->type[T_PLACE], v, p->n);
}

static LLVMValueRef functions(const Tables *t, const Module *m) {
  int n = m->prog->nfn;
  LLVMValueRef *v = values(t, n);
  for (int i = 0; i < n; i++) v[i] = function(t, &m->fn[i]);
  return table(t, "functions", t->type[T_FN], v, n);
}

/* ---- GPUs ---- */
static LLVMValueRef device_text_table(const Tables *t, const DeviceTexts *texts) {
  LLVMValueRef *v = values(t, texts->n), ptx[NETC_SM_COUNT];
  for (int i = 0; i < texts->n; i++) {
    for (int sm = 0; sm < NETC_SM_COUNT; sm++)
      ptx[sm] = sm == (int)texts->family[i] ? text(t, (const char *)texts->text[i].data) : null(t);
    if (texts->newest[i].n) ptx[NETC_SM_90A] = text(t, (const char *)texts->newest[i].data);
    v[i] = RECORD(t, LLVMConstArray2(t->ptr, ptx, NETC_SM_COUNT));
  }
  return table(t, "device_texts", t->type[T_DEVICE_TEXT], v, texts->n);
}

static LLVMValueRef device_codes(const Tables *t, const DeviceTexts *texts) {
  const Module *m = t->device;
  LLVMValueRef *v = values(t, m->ncode);
  for (int i = 0; i < m->ncode; i++) {
    const Code *c = &m->code[i];
    char symbol[64];
    int64_t declared = simt_shared(c->k), wide = c->k->sm90 ? simt_shared(c->k->sm90) : 0;
    bool dynamic = c->k->sm90 && simt_dynamic(c->k->sm90);
    if (!dynamic && wide > declared) declared = wide;
    v[i] = RECORD(t, text(t, code_symbol(symbol, c)), int32(t, texts->of[i]),
                  int32(t, simt_block_threads(c->k)), int32(t, simt_block_tasks(c->k)),
                  int32(t, dynamic ? wide : 0), int32(t, declared), int32(t, c->k->nparams));
  }
  return table(t, "device_codes", t->type[T_DEVICE_CODE], v, m->ncode);
}

static LLVMValueRef device_kernels(const Tables *t) {
  const Module *m = t->device;
  LLVMValueRef *v = values(t, m->nkernel), word[NETC_MAX_PARAMS];
  for (int i = 0; i < m->nkernel; i++) {
    const Kernel *k = &m->kernel[i];
    int code = m->code_of[0][i], n = m->code[code].k->nparams;
    for (int p = 0; p < n; p++) word[p] = int64(t, (int64_t)m->param[i][p]);
    v[i] = RECORD(t, text(t, k->name), text(t, k->op), int32(t, code), int32(t, 0), int64(t, k->flops),
                  int64(t, k->bytes), int64(t, k->work), table(t, "params", t->i64, word, n));
  }
  return table(t, "device_kernels", t->type[T_DEVICE_KERNEL], v, m->nkernel);
}

static LLVMValueRef device_fills(const Tables *t) {
  const Module *m = t->device;
  LLVMValueRef *v = values(t, m->nfill);
  for (int i = 0; i < m->nfill; i++)
    v[i] = RECORD(t, int32(t, m->fill[i].stream), int32(t, m->fill[i].field), int32(t, m->fill[i].kernel),
                  int32(t, 0), int64(t, m->fill[i].tasks));
  return table(t, "device_fills", t->type[T_DEVICE_FILL], v, m->nfill);
}

static LLVMValueRef device(const Tables *t) {
  const Module *m = t->device;
  if (!m) return null(t);
  DeviceTexts texts = device_texts(m);
  LLVMValueRef v =
      global(t, "device",
             RECORD(t, int64(t, m->arena_bytes), int32(t, m->ncode), int32(t, m->nkernel), int32(t, texts.n),
                    int32(t, m->nfill), device_text_table(t, &texts), device_codes(t, &texts),
                    device_kernels(t), device_fills(t), functions(t, m)));
  device_texts_free(&texts);
  return v;
}

static int input_index(const FnPlan *p, const char *stream, const char *field) {
  size_t n = strlen(stream);
  for (int i = 0; p && i < p->ninput; i++) {
    const char *name = p->input[i].name;
    if (!strncmp(name, stream, n) && name[n] == '.' && !strcmp(name + n + 1, field)) return i;
  }
  return -1;
}

static LLVMValueRef augments(const Tables *t, const Augment *a, int n) {
  LLVMValueRef *v = values(t, n), value[NETC_AUGMENT_VALUES];
  for (int i = 0; i < n; i++) {
    for (int k = 0; k < NETC_AUGMENT_VALUES; k++) value[k] = real(t, a[i].value[k]);
    v[i] = RECORD(t, int32(t, a[i].kind), int32(t, 0), real(t, a[i].p),
                  LLVMConstArray2(t->f64, value, NETC_AUGMENT_VALUES));
  }
  return table(t, "augments", t->type[T_AUGMENT], v, n);
}

static LLVMValueRef streams(const Tables *t) {
  const Program *p = t->mod->prog;
  const FnPlan *train = module_training(t->mod);
  LLVMValueRef *v = values(t, p->nstream);
  for (int i = 0; i < p->nstream; i++) {
    const Stream *s = &p->stream[i];
    LLVMValueRef field[sizeof s->field / sizeof *s->field];
    for (int j = 0; j < s->nfield; j++)
      field[j] = RECORD(t, text(t, s->field[j].name), int32(t, s->field[j].kind),
                        int32(t, input_index(train, s->name, s->field[j].name)));
    v[i] = RECORD(t, text(t, s->name), int32(t, s->source), int32(t, s->nfield), int32(t, s->naugment),
                  int32(t, s->nstrong), table(t, "fields", t->type[T_FIELD], field, s->nfield),
                  augments(t, s->augment, s->naugment), augments(t, s->strong, s->nstrong),
                  real(t, s->foreground));
  }
  return table(t, "streams", t->type[T_STREAM], v, p->nstream);
}

/* ---- the whole ---- */
static uint64_t fnv(uint64_t h, const void *data, size_t n) {
  for (const uint8_t *p = data; n > 0; n--) h = (h ^ *p++) * 1099511628211u;
  return h;
}

static uint64_t fingerprint(const Program *p) {
  uint64_t h = 14695981039346656037u;
  for (int i = 0; i < p->nvar; i++) {
    const Var *v = &p->var[i];
    int64_t shape[2 + MAX_RANK] = {v->type.dt, v->role};
    for (int a = 0; a < v->type.rank; a++) shape[2 + a] = v->type.dim[a];
    h = fnv(h, v->name, strlen(v->name) + 1);
    h = fnv(h, shape, (size_t)(2 + v->type.rank) * sizeof *shape);
  }
  return h;
}

/* 2 or 3: axes of the images, by the batches or else by the first input that looks like images. */
static int spatial_rank(const Module *m) {
  for (int i = 0; i < m->prog->nstream; i++)
    for (int j = 0; j < m->prog->stream[i].nfield; j++)
      if (!field_info[m->prog->stream[i].field[j].kind].mask)
        return m->prog->stream[i].field[j].type.rank - 2;
  for (int i = 0; i < m->prog->nfn; i++)
    for (int j = 0; j < m->fn[i].ninput; j++)
      if (m->fn[i].input[j].type.rank >= 4) return m->fn[i].input[j].type.rank - 2;
  return 2;
}

/* How runs validate; the null pointer where the program does not say. */
static LLVMValueRef validation(const Tables *t) {
  const Validation *v = t->mod->prog->validation;
  if (!v) return null(t);
  return global(t, "validation",
                RECORD(t, int64(t, v->every),
                       text(t, v->best < BEST_KINDS ? best_info[v->best].column : NULL), text(t, v->val)));
}

static LLVMValueRef module_record(const Tables *t) {
  const Module *m = t->mod;
  const Program *p = m->prog;
  const char *options = m->opt->options ? m->opt->options : "";
  LLVMValueRef fns = functions(t, m), gpu = device(t); /* meet the places */
  return RECORD(t, int32(t, NETC_ABI_VERSION), int32(t, sizeof(NetcModule)), text(t, "netc " NETC_VERSION),
                text(t, p->source ? p->source : ""), text(t, options), int64(t, (int64_t)fingerprint(p)),
                int64(t, m->arena_bytes), int64(t, m->var_bytes), int32(t, p->nvar), int32(t, p->nnet),
                int32(t, m->nkernel), int32(t, p->nfn), int32(t, p->nstream), int32(t, spatial_rank(m)),
                vars(t), nets(t), kernels(t), fns, streams(t), places(t), int64(t, t->places->n),
                int64(t, p->classes), int64(t, p->epoch_iterations), int64(t, p->max_iterations), gpu,
                prepare_table(t), validation(t));
}

/* const NetcModule *netc_module_query(uint32_t v) { return v == NETC_ABI_VERSION ? &module : NULL; } */
static void query_function(const Tables *t, LLVMValueRef module) {
  LLVMTypeRef param = t->i32;
  LLVMValueRef fn = LLVMAddFunction(t->m, NETC_QUERY_SYMBOL, LLVMFunctionType(t->ptr, &param, 1, false));
  LLVMBuilderRef b = LLVMCreateBuilderInContext(t->c);
  LLVMPositionBuilderAtEnd(b, LLVMAppendBasicBlockInContext(t->c, fn, ""));
  LLVMValueRef same = LLVMBuildICmp(b, LLVMIntEQ, LLVMGetParam(fn, 0), int32(t, NETC_ABI_VERSION), "");
  LLVMBuildRet(b, LLVMBuildSelect(b, same, module, null(t), ""));
  LLVMDisposeBuilder(b);
}

bool compile_tables(const Module *m, const Module *device, Bytes *object, char err[IR_ERR]) {
  LLVMTargetMachineRef tm = lower_target(NETC_ISA_AVX2, err);
  if (!tm) return false;
  Places places = {.arena = m->arena};
  Tables t = {.mod = m, .device = device, .c = LLVMContextCreate(), .places = &places};
  t.m = LLVMModuleCreateWithNameInContext("tables", t.c);
  LLVMSetTarget(t.m, "x86_64-unknown-linux-gnu");
  make_types(&t);
  bool good = check_layouts(&t, tm, err);
  if (good) {
    query_function(&t, global(&t, "module", module_record(&t)));
    good = lower_generate(t.m, tm, LLVMObjectFile, object, err);
  }
  LLVMDisposeModule(t.m);
  LLVMContextDispose(t.c);
  LLVMDisposeTargetMachine(tm);
  return good;
}
