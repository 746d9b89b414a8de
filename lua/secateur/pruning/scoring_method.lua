--- What `method` of `importance` and an entry of a sweep's `methods` may be, read into one form: the name of a method
-- of ours, a function of one's own, or such a function with a version.
-- @module secateur.pruning.scoring_method
local errors = require "secateur.util.errors"
local methods = require "secateur.attribution.methods"
local options = require "secateur.util.options"

local scoring_method = {}

local expected = "a name, a function or { score = function, version = text or number }"

-- Raises unless a table is `{ score =, version = }`, and nothing besides.
local function check_fields(name, argument, value)
  for key in pairs(value) do
    if key ~= "score" and key ~= "version" then
      errors.refuse(name, "%s: expected { score = function, version = text or number }, got a field %s%s", argument,
        options.describe(key), options.suggest(key, { "score", "version" }))
    end
  end
  if type(value.score) ~= "function" then
    errors.refuse(name, "%s.score: expected a function, got %s", argument, options.describe(value.score))
  end
  local version = value.version
  if version ~= nil and type(version) ~= "string" and not (math.type(version) and version == version) then
    errors.refuse(name, "%s.version: expected a text or a number, got %s", argument, options.describe(version))
  end
end

--- Whether a value is a scoring method of one's own, in either of its forms.
-- @param value
-- @treturn boolean
function scoring_method.is_own(value)
  return type(value) == "function" or type(value) == "table" and type(value.score) == "function"
end

--- Reads a scoring method; raises where it is none.
-- @string name the public function, for messages
-- @string argument what the value is called in messages
-- @param value a name, a function `f(model, samples, ctx)`, or a table `{ score = f, version = text or number }`: of a
--   function with a version a fingerprint sees the version alone, neither its source nor what it refers to
-- @treturn table `name` (of one's own "custom"), `builtin` (boolean), of one's own also `score` (the function) and
--   `version` (or nil)
function scoring_method.read(name, argument, value)
  if scoring_method.is_own(value) or type(value) == "table" and value.score ~= nil then
    if type(value) == "function" then return { name = "custom", score = value, builtin = false } end
    check_fields(name, argument, value)
    return { name = "custom", score = value.score, version = value.version, builtin = false }
  end
  if type(value) ~= "string" then
    errors.refuse(name, "%s: expected %s, got %s", argument, expected, options.describe(value))
  end
  local row = methods.get(value)
  if not row or not row.scores then
    errors.refuse(name, "%s: expected one of %s, a function or { score = function }, got %s%s", argument,
      options.describe_all(methods.scoring), options.describe(value), options.suggest(value, methods.scoring))
  end
  return { name = value, builtin = true }
end

return scoring_method
