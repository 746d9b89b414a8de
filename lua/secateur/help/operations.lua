--- The operations of networks as text: what the native core says of itself, so that it cannot go stale.
-- @module secateur.help.operations
local core = require "secateur.core"

local operations = {}

local function number_text(value)
  return math.type(value) == "integer" and tostring(value) or ("%.14g"):format(value)
end

--- What an attribute may be, in words: "a pair of whole numbers, at least 1; default 1".
-- @tab attribute as `core.operations()` describes it
-- @treturn string
function operations.attribute(attribute)
  local kinds = { size = "a whole number", pair = "a whole number, or a list of two (vertical, horizontal)",
    real = "a number", flag = "a boolean", shape = "a list of sizes", list = "a list of whole numbers" }
  local words = kinds[attribute.kind]
  if attribute.choices then words = 'one of "' .. table.concat(attribute.choices, '", "') .. '"' end
  if attribute.min then
    words = words .. (", %s to %s"):format(number_text(attribute.min), number_text(attribute.max))
  end
  if attribute.required then return words .. "; required" end
  if attribute.same_as then return words .. "; default: as " .. attribute.same_as end
  if attribute.default == nil then return words end
  local default = type(attribute.default) == "number" and number_text(attribute.default) or tostring(attribute.default)
  return words .. "; default " .. default
end

--- How many inputs an operation takes.
-- @tab operation as `core.operations()` describes it
-- @treturn string
function operations.inputs(operation)
  local low, high = operation.min_inputs, operation.max_inputs
  if low == high then return low == 1 and "1 input" or low .. " inputs" end
  return ("%d to %d inputs"):format(low, high)
end

--- All of them: a line each, and one for each attribute.
-- @treturn string
function operations.text()
  local lines = {}
  for _, operation in ipairs(core.operations()) do
    lines[#lines + 1] = ("%s (%s): %s"):format(operation.name, operations.inputs(operation), operation.doc)
    for _, attribute in ipairs(operation.attributes) do
      lines[#lines + 1] = ("  %s: %s"):format(attribute.name, operations.attribute(attribute))
    end
  end
  return table.concat(lines, "\n")
end

return operations
