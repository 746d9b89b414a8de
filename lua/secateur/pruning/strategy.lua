--- What may stand for a sampling strategy: a name, a function, or a table with a function and what it is like.
-- @module secateur.pruning.strategy
local errors = require "secateur.util.errors"
local options = require "secateur.util.options"
local strategies = require "secateur.pruning.strategies"

local strategy = {}

-- A strategy that was read; also what `sc.sampling` gives. Fields as `strategy.read` says.
local Strategy = { __name = "SamplingStrategy" }
Strategy.__index = Strategy

function Strategy:__tostring() return self.name end

local fields = { choose = true, name = true, scope = true, version = true }

local table_rules = {
  choose = { type = "function", required = true },
  name = { type = "string", default = "custom", check = function(name) return name ~= "", "a name" end },
  scope = { one_of = { "class", "all" }, default = "class" },
  version = { type = { "string", "number" } },
}

--- Makes a strategy of our own.
-- @tab given `name`, `choose`, `scope`, `version`, `builtin`, `parts`
-- @treturn table
function strategy.new(given) return setmetatable(given, Strategy) end

--- The strategies that have a name.
-- @treturn {string,...} sorted
function strategy.names() return options.sorted_keys(strategies) end

--- Whether a value is a strategy that was read already, as those of `sc.sampling` are.
-- @param value
-- @treturn boolean
function strategy.is(value) return getmetatable(value) == Strategy end

local function read_table(name, argument, value)
  for key in pairs(value) do
    if not fields[key] then
      errors.refuse(name, "%s: expected { choose = function, scope =, version =, name = }, got a field %s%s", argument,
        options.describe(key), options.suggest(key, options.sorted_keys(fields)))
    end
  end
  local read = {}
  for key, rule in pairs(table_rules) do
    read[key] = options.value(name, ("%s.%s"):format(argument, key), value[key], rule)
  end
  return strategy.new(read)
end

--- Reads what a user gave as a strategy: the name of one of ours; a function `f(pool, ctx)`; a table
-- `{ choose = f, scope = "class" | "all", version =, name = }`; or what `sc.sampling` gives. Raises where it is none.
-- @string name the public function, for messages
-- @string argument
-- @param value
-- @treturn table `name` ("custom" of a function), `choose`, `scope` ("class": called once per class; "all": once),
--   `version` (or nil), `builtin` (whether it is one of ours), `parts` (of a composition: the strategies that it is
--   made of)
function strategy.read(name, argument, value)
  if strategy.is(value) then return value end
  if type(value) == "table" and not getmetatable(value) then return read_table(name, argument, value) end
  local checked = options.value(name, argument, value,
    { required = true, one_of = strategy.names(), type = { "function", "table" } })
  if type(checked) == "function" then return strategy.new { name = "custom", choose = checked, scope = "class" } end
  if type(checked) == "table" then return read_table(name, argument, checked) end
  return strategy.new { name = checked, choose = strategies[checked], scope = "class", builtin = true }
end

--- What tells a strategy from others, for `secateur.util.fingerprint`: of one of ours its name, of one with a version
-- that, of a composition what its parts are, else its function.
-- @tab read what `strategy.read` gives
-- @treturn table plain values and functions
function strategy.identity(read)
  if read.parts then
    local parts = {}
    for i, part in ipairs(read.parts) do parts[i] = strategy.identity(part) end
    return { composition = read.detail, parts = parts }
  end
  if read.builtin then return { builtin = read.name } end
  if read.version ~= nil then return { version = read.version, scope = read.scope } end
  return { choose = read.choose, scope = read.scope }
end

return strategy
