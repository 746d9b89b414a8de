--- Where the path of Integrated Gradients starts.
-- @module secateur.attribution.baseline
local core = require "secateur.core"
local options = require "secateur.util.options"

local baseline = {}

local imagenet = { mean = { 0.485, 0.456, 0.406 }, std = { 0.229, 0.224, 0.225 } }
local grey = { mean = { 0.449 }, std = { 0.226 } }

--- The baseline for a batch.
-- @string name the public function, for messages
-- @param kind "black" (a black image after the model's normalisation), "zero", or a Tensor of one sample or the batch
-- @tparam Tensor x [N x C x H x W]
-- @tparam[opt] table normalisation {mean = {...}, std = {...}}; by default ImageNet's, or its mean for one channel
-- @treturn Tensor like x
function baseline.make(name, kind, x, normalisation)
  local shape = x:shape()
  if kind == "zero" then return core.zeros(table.unpack(shape)) end
  if kind == "black" then
    local channels = shape[2]
    local norm = normalisation or (channels == 3 and imagenet) or (channels == 1 and grey)
    if not norm or #norm.mean ~= channels then
      options.fail(name, ("baseline: expected a normalisation of %d channels for \"black\"; give a Tensor or \"zero\"")
        :format(channels), 1)
    end
    local one = core.zeros(channels, 1, 1)
    for c = 1, channels do one:set(-norm.mean[c] / norm.std[c], c, 1, 1) end
    return core.zeros(table.unpack(shape)) + one
  end
  if type(kind) == "userdata" and kind.shape then
    local ok, whole = pcall(function() return core.zeros(table.unpack(shape)) + kind end)
    if ok and table.concat(whole:shape(), "x") == table.concat(shape, "x") then return whole end
    options.fail(name, ("baseline: expected a Tensor that fits [%s], got [%s]"):format(table.concat(shape, " x "),
      table.concat(kind:shape(), " x ")), 1)
  end
  options.fail(name, "baseline: expected \"black\", \"zero\" or a Tensor, got " .. options.describe(kind), 1)
end

return baseline
