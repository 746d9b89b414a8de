--- Scores of units: what they must be, and how they print.
-- @module secateur.pruning.scores
local core = require "secateur.core"
local errors = require "secateur.util.errors"
local options = require "secateur.util.options"
local skipped_note = require "secateur.util.skipped_note"
local tensors = require "secateur.util.tensors"
local visible = require "secateur.util.visible"

local scores = {}

local function describe(self)
  local p, lines = self.provenance, {}
  lines[1] = ("Scores by %s, %s sampling, %d samples"):format(visible(p.method),
    visible(tostring(p.sampling)), #p.indices)
  for _, name in ipairs(p.layers) do
    local layer = self[name]
    lines[#lines + 1] = ("  %s: %d units, mean %.4g, largest %.4g"):format(visible(name), layer:numel(),
      layer:mean(), layer:max())
  end
  lines[#lines + 1] = skipped_note(p.skipped)
  return table.concat(lines, "\n")
end

-- Scores -> the images that statistics were estimated on, or could be: no part of the scores, which are saved and
-- compared.
local calibrations = setmetatable({}, { __mode = "k" })

--- Scores that know where they come from. Provenance is looked up, not stored among the layers, so that a loop over the
-- table meets layers alone.
-- @tab by_layer layer name -> Tensor [units]
-- @tab provenance
-- @tparam ?Split|Tensor calibration what images of the kind that the scores are for can be had from
-- @treturn Scores
function scores.new(by_layer, provenance, calibration)
  calibrations[by_layer] = calibration
  return setmetatable(by_layer, { __name = "Scores", __tostring = describe, __index = { provenance = provenance } })
end

--- The calibration images that scores know of.
-- @tab self
-- @treturn ?Split|Tensor as `calibration.images` takes them; nil for other tables, and where none are known
function scores.calibration_of(self)
  return calibrations[self]
end

-- How many numbers a list without holes holds; nil of anything else.
local function count_numbers(value)
  local count = 0
  for key, number in pairs(type(value) == "table" and value or {}) do
    if math.type(key) ~= "integer" or not math.type(number) then return nil end
    count = count + 1
  end
  return count > 0 and count == #value and count or nil
end

-- What a user's function gave for one layer, as a Tensor [units] of its own: the function may go on with what it gave.
local function read_layer(layer, value)
  local count, is_tensor = count_numbers(value), tensors.is(value)
  if not count and not (is_tensor and value:dtype() == "float32") then
    errors.refuse("importance", "method: '%s': expected a Tensor or a list of %d numbers from the function, got %s",
      layer.name, layer.units, options.describe(value) .. (is_tensor and " of " .. value:dtype() or ""))
  end
  local shape = count and { count } or value:shape()
  if #shape ~= 1 or shape[1] ~= layer.units then
    errors.refuse("importance", "method: '%s': expected %d scores from the function, got [%s]", layer.name,
      layer.units, table.concat(shape, " x "))
  end
  return count and core.tensor(value) or value:clone()
end

--- What a user's function gave, as scores of layers.
-- @param given layer name -> Tensor [units] or list of numbers, for some of the layers or all
-- @tparam {table,...} layers what `model:layers()` lists
-- @treturn table layer name -> Tensor [units]
function scores.read(given, layers)
  if type(given) ~= "table" then
    errors.refuse("importance", "method: expected a table of layer name = scores from the function, got "
      .. options.describe(given))
  end
  local found, known, names = {}, {}, {}
  for i, layer in ipairs(layers) do
    known[layer.name], names[i] = true, layer.name
    if given[layer.name] ~= nil then found[layer.name] = read_layer(layer, given[layer.name]) end
  end
  for name in pairs(given) do
    if not known[name] then
      errors.refuse("importance", "method: expected names of prunable layers from the function, got "
        .. options.describe(name) .. options.suggest(name, names))
    end
  end
  if next(found) == nil then errors.refuse("importance", "method: expected scores from the function, got none") end
  return found
end

--- Raises unless all scores are finite, and some are not zero: where nothing reaches any unit there is nothing to rank,
-- and pruning would go by the order of layers.
-- @tab by_layer layer name -> Tensor [units]
-- @string method its name
function scores.check(by_layer, method)
  local largest = 0
  for name, tensor in pairs(by_layer) do
    if not tensors.finite(tensor) then
      errors.refuse("importance", "%s gives scores that are not finite at layer '%s'; are the weights and images "
        .. "finite?", method, name)
    end
    largest = math.max(largest, tensor:abs():max())
  end
  if largest == 0 then
    errors.refuse("importance", "%s gives all units the score 0; is the model's last layer still zero, as a ViT's new "
      .. "head is until it is trained?", method)
  end
end

return scores
