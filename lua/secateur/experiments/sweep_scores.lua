--- Scores and outputs as a store keeps them: as text, of which nine digits give every float32 back exactly.
-- @module secateur.experiments.sweep_scores
local core = require "secateur.core"
local decimal = require "secateur.util.decimal"

local sweep_scores = {}

local not_finite = { inf = math.huge, ["-inf"] = -math.huge }

local function pack_list(list)
  local words = {}
  for i, value in ipairs(list) do words[i] = decimal("%.9g", value) end
  return table.concat(words, " ")
end

local function unpack_list(text)
  local list = {}
  for word in text:gmatch "%S+" do list[#list + 1] = tonumber(word) or not_finite[word] or 0 / 0 end
  return list
end

--- Scores as plain data.
-- @tab scores layer name -> Tensor [units]; what else stands beside the layers is left out
-- @treturn table layer name -> text
function sweep_scores.pack(scores)
  local lists = {}
  for name, tensor in pairs(scores) do
    -- Beside the layers stands where the scores come from.
    if (type(tensor) == "userdata" or type(tensor) == "table") and tensor.numel and tensor.totable then
      lists[name] = pack_list(tensor:totable())
    end
  end
  return lists
end

--- The same back again.
-- @tab lists
-- @treturn table layer name -> Tensor [units]
function sweep_scores.unpack(lists)
  local scores = {}
  for name, text in pairs(lists) do scores[name] = core.tensor(unpack_list(text)) end
  return scores
end

--- How many units a rate is a share of: those of the layers chosen, or of all that have scores.
-- @tab scores
-- @param layers the sweep's option
-- @treturn int
function sweep_scores.count_units(scores, layers)
  local units = 0
  if type(layers) == "table" then
    for _, name in ipairs(layers) do units = units + (scores[name] and scores[name]:numel() or 0) end
  else
    for _, tensor in pairs(scores) do units = units + tensor:numel() end
  end
  return units
end

--- Logits of an Evaluation as plain data.
-- @tab measured `logits`, `indices`
-- @treturn table
function sweep_scores.pack_outputs(measured)
  local rows = {}
  for i, row in ipairs(measured.logits) do rows[i] = pack_list(row) end
  return { logits = rows, indices = measured.indices }
end

--- The same back again.
-- @tab kept
-- @treturn table
function sweep_scores.unpack_outputs(kept)
  local logits = {}
  for i, text in ipairs(kept.logits) do logits[i] = unpack_list(text) end
  return { logits = logits, indices = kept.indices }
end

return sweep_scores
