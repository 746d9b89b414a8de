--- The harmless names that checkpoints hold besides tensors: Python's containers, and records of how a model was
-- trained (arguments, dates, counters, NumPy's numbers), whose contents are not kept.
-- @module secateur.formats.pickle_globals
local pickle = require "secateur.formats.pickle"

local globals = {}

local function is(value, kind) return type(value) == "table" and value.kind == kind end

-- A dictionary that begins empty, or with a list of pairs, or with what another one holds.
local function dict(arguments, _, machine)
  local made, given = { kind = "dict", n = 0, keys = {}, values = {} }, arguments[1]
  pickle.charge(machine, 400)
  if given == nil then return made end
  if is(given, "dict") then
    pickle.charge(machine, 64 * given.n)
    made.n = given.n
    table.move(given.keys, 1, given.n, 1, made.keys)
    table.move(given.values, 1, given.n, 1, made.values)
    return made
  end
  if not is(given, "list") and not is(given, "tuple") then return nil end
  pickle.charge(machine, 64 * given.n)
  for i = 1, given.n do
    local pair = given[i]
    if not (is(pair, "list") or is(pair, "tuple")) or pair.n ~= 2 then return nil end
    made.n = i
    made.keys[i], made.values[i] = pair[1], pair[2]
  end
  return made
end

-- defaultdict(factory[, contents]); the factory, a known name, is never called.
local function default_dict(arguments, name, machine)
  return dict({ arguments[2] }, name, machine)
end

local function list_of(kind)
  return function(arguments, _, machine)
    local given = arguments[1] or { kind = "list", n = 0 }
    if not (is(given, "list") or is(given, "tuple") or is(given, "set")) then return nil end
    pickle.charge(machine, 200 + 32 * given.n)
    return table.move(given, 1, given.n, 1, { kind = kind, n = given.n })
  end
end

-- Stands for an object of which nothing is kept.
local function record(_, name) return { kind = "record", name = name } end

-- Bytes, as protocols before 3 wrote them: text in Latin-1, whose meaning no tensor depends on.
local function encode(arguments)
  return type(arguments[1]) == "string" and arguments[1] or nil
end

for name, make in pairs {
  ["collections.OrderedDict"] = dict,
  ["collections.Counter"] = dict,
  ["collections.defaultdict"] = default_dict,
  ["collections.deque"] = list_of "list",
  ["_codecs.encode"] = encode,
  ["argparse.Namespace"] = record,
  ["datetime.date"] = record,
  ["datetime.datetime"] = record,
  ["datetime.time"] = record,
  ["datetime.timedelta"] = record,
  ["datetime.timezone"] = record,
  ["pathlib.Path"] = record,
  ["pathlib.PosixPath"] = record,
  ["pathlib.PurePosixPath"] = record,
  ["pathlib.WindowsPath"] = record,
  ["pathlib.PureWindowsPath"] = record,
  ["types.SimpleNamespace"] = record,
  ["pytorch_lightning.callbacks.early_stopping.EarlyStopping"] = true,
  ["pytorch_lightning.callbacks.model_checkpoint.ModelCheckpoint"] = true,
  ["pytorch_lightning.utilities.parsing.AttributeDict"] = dict,
  ["lightning_fabric.utilities.data.AttributeDict"] = dict,
  ["lightning.fabric.utilities.data.AttributeDict"] = dict,
} do globals[name] = make end

for _, module in ipairs { "builtins", "__builtin__" } do
  for name, make in pairs { set = list_of "set", frozenset = list_of "set", bytearray = record, complex = record,
    slice = record, range = record, dict = dict, list = list_of "list", tuple = list_of "tuple", int = true,
    long = true, float = true, str = true, unicode = true, bool = true, bytes = true, object = true } do
    globals[module .. "." .. name] = make
  end
end

for _, package in ipairs { "numpy.core.", "numpy._core." } do
  for _, name in ipairs { "multiarray.scalar", "multiarray._reconstruct", "numeric._frombuffer" } do
    globals[package .. name] = record
  end
end
globals["numpy.dtype"] = record
globals["numpy.ndarray"] = true

return globals
