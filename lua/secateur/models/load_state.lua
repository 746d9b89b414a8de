--- Brings tensors from a table or a file to a model's parameters, all or none.
-- @module secateur.models.load_state
local errors = require "secateur.util.errors"
local files = require "secateur.util.files"
local parameter_names = require "secateur.formats.parameter_names"
local options = require "secateur.util.options"
local tensors = require "secateur.util.tensors"
local weights = require "secateur.formats.weights"

local load_state = {}

local MOST = 20 -- names that a message lists of one kind

--- Tensors by name, in the manner of secateur.formats.weights.
-- @type Table
local Table = {}
Table.__index = Table

-- Those keys that are strings.
function Table:names()
  local list = {}
  for name in pairs(self.tensors) do
    if type(name) == "string" then list[#list + 1] = name end
  end
  table.sort(list)
  return list
end

-- Shape and type, or what else stands there.
function Table:info(name)
  local value = self.tensors[name]
  if not tensors.is(value) then return { kind = options.describe(value) } end
  return { shape = value:shape(), dtype = value:dtype() }
end

-- The tensor itself.
function Table:read(name) return self.tensors[name] end

-- Nothing to close.
function Table:__close() self.tensors = nil end

--- Opens a place that tensors come from: its `names()`, `info(name)` and `read(name)` are those of
-- secateur.formats.weights.
-- @param from a path, or a table name -> Tensor
-- @string[opt] key of a dictionary in a file, as in weights.open
-- @treturn a closable value
function load_state.open(from, key)
  if type(from) == "string" then return weights.open(from, { key = key }) end
  return setmetatable({ tensors = from }, Table)
end

local function fits_any(patterns, name)
  for _, pattern in ipairs(patterns) do
    local ok, found = pcall(string.find, name, pattern)
    if not ok then errors.raise("exclude: expected a Lua pattern, got '%s': %s", pattern, found) end
    if found then return pattern end
  end
  return nil
end

local function text_of(info)
  return info.kind or info.unsupported or ("%s [%s]"):format(info.dtype, table.concat(info.shape, "x"))
end

local function same(a, b)
  if not a or #a ~= #b then return false end
  for i = 1, #a do if a[i] ~= b[i] then return false end end
  return true
end

-- Whether a tensor that no parameter has the name of may be passed over: one that cannot be read anyway.
local function is_unreadable(source, name) return source:info(name).unsupported end

-- Which of the file's names stands for which of the model's: the name itself, or what names.torchvision makes of it.
local function assign(source, own, prefix, faults)
  local known, assigned = {}, {}
  for _, name in ipairs(own) do known[name] = true end
  for _, name in ipairs(source:names()) do
    if name:sub(1, #prefix) == prefix then
      local bare = name:sub(#prefix + 1)
      local mapped = known[bare] and bare or parameter_names.torchvision(bare)
      local unreadable = not known[mapped] and is_unreadable(source, name)
      if unreadable then
        faults.passed_over[#faults.passed_over + 1] = ("left out '%s' (%s)"):format(name, unreadable)
      elseif not known[mapped] then
        faults.unexpected[#faults.unexpected + 1] = bare
      elseif assigned[mapped] then
        faults.twice[#faults.twice + 1] = ("%s and %s"):format(assigned[mapped], name)
      else
        assigned[mapped] = name
      end
    end
  end
  return assigned
end

local function without(list, patterns, used)
  local kept = {}
  for _, name in ipairs(list) do
    local pattern = fits_any(patterns, name) or fits_any(patterns, parameter_names.torchvision(name))
    if pattern then used[pattern] = true else kept[#kept + 1] = name end
  end
  return kept
end

-- A batch norm of an old file counts no batches; who casts all tensors casts the counter too. No result depends on it.
local function may_be_missing(name) return name:find "%f[^%.]num_batches_tracked$" end

local function is_cast_counter(parameter, info)
  return may_be_missing(parameter.name) and info.dtype == "float32" and same(info.shape, parameter.shape)
end

local function match(graph, source, prefix, exclude)
  local faults = { missing = {}, unexpected = {}, twice = {}, wrong = {}, passed_over = {} }
  local own, used, found = {}, {}, {}
  local parameters = graph:parameters()
  for i, parameter in ipairs(parameters) do own[i] = parameter.name end
  prefix = parameter_names.settle_prefix(source:names(), prefix, own)
  local assigned = assign(source, own, prefix, faults)
  for _, parameter in ipairs(parameters) do
    local name = assigned[parameter.name]
    local info = name and source:info(name)
    if name and is_cast_counter(parameter, info) then name = nil end -- stays as it is
    local left = fits_any(exclude, parameter.name)
    if left then
      used[left] = true
    elseif not name and not may_be_missing(parameter.name) then
      faults.missing[#faults.missing + 1] = parameter.name
    elseif name and (not same(info.shape, parameter.shape) or info.dtype ~= parameter.dtype) then
      faults.wrong[#faults.wrong + 1] = ("%s (expected %s [%s], got %s)"):format(parameter.name, parameter.dtype,
        table.concat(parameter.shape, "x"), text_of(info))
    elseif name then
      found[#found + 1] = { parameter = parameter.name, name = name }
    end
  end
  faults.unexpected = without(faults.unexpected, exclude, used)
  return found, faults, used
end

local function listed(kind, list)
  if #list == 0 then return nil end
  table.sort(list)
  local more = #list > MOST + 1 and (", and %d more"):format(#list - MOST) or ""
  return ("%d %s: %s%s"):format(#list, kind, table.concat(list, ", ", 1, more == "" and #list or MOST), more)
end

-- nil when there are none.
local function describe_faults(faults)
  local parts = {}
  for _, kind in ipairs { { "missing", faults.missing }, { "unexpected", faults.unexpected },
    { "named twice", faults.twice }, { "of another shape", faults.wrong } } do
    parts[#parts + 1] = listed(kind[1], kind[2])
  end
  return #parts > 0 and table.concat(parts, "; ") or nil
end

--- Sets the parameters of a graph. Raises one message that lists all that does not fit; then the
-- graph is as before.
-- @tparam Graph graph
-- @param source what `open` gave
-- @tparam[opt] table opts `prefix`: only names that start with it count, and are looked up without it (by default
--   what names.prefix finds); `exclude`: list of Lua patterns of parameters that stay as they are; `notes`: a list that
--   gets a sentence on each tensor that was passed over, since it cannot be read and is no parameter's
function load_state.load(graph, source, opts)
  local exclude = opts and opts.exclude or {}
  local found, faults, used = match(graph, source, opts and opts.prefix, exclude)
  for _, pattern in ipairs(exclude) do
    if not used[pattern] then errors.raise("exclude: no parameter matches '%s'", pattern) end
  end
  local text = describe_faults(faults)
  if text then errors.raise(text .. (opts and opts.prefix and "" or parameter_names.hint(source:names()))) end
  if #found == 0 and #exclude > 0 then errors.raise("the exclude patterns match every parameter") end
  for _, note in ipairs(faults.passed_over) do
    if opts and opts.notes then opts.notes[#opts.notes + 1] = note end
  end
  for _, one in ipairs(found) do one.value = source:read(one.name) end -- before the first is set: all or none
  for _, one in ipairs(found) do
    graph:set_parameter(one.parameter, one.value)
    one.value = nil
  end
end

--- The same from a path or a table; messages about a file start with its path.
-- @tparam Graph graph
-- @tparam string|table from
-- @tparam[opt] table opts of `load`, and `key`, of `open`
function load_state.load_from(graph, from, opts)
  local source <close> = load_state.open(from, opts and opts.key)
  local notes = table.move(source.notes or {}, 1, #(source.notes or {}), 1, {})
  local ok, message = errors.try(load_state.load, graph, source, { prefix = opts and opts.prefix,
    exclude = opts and opts.exclude, notes = notes })
  if ok then
    for _, note in ipairs(notes) do errors.warn("load_state: '%s': %s", from, note) end
    return
  end
  if type(from) ~= "string" then errors.raise(message) end
  errors.raise("'%s': %s", from, files.without_path(message, from))
end

return load_state
