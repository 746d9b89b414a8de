--- captum's values for a small VGG (spec/fixtures/gradients.safetensors, written by make_gradients.py).
local assert = require "luassert"
local models = require "secateur.models"
local safetensors = require "secateur.formats.safetensors"

local captum = {}

--- All tensors of the file, by name.
captum.reference = safetensors.load "spec/fixtures/gradients.safetensors"

--- The network that they are of.
-- @treturn Model
function captum.model()
  return models.vgg { config = { 4, "M", 6, "M" }, hidden = { 5 }, pool = 2, classes = 3, size = 8 }
    :load_state(captum.reference, { prefix = "weight/" })
end

--- Classes as the file has them, from 0, as a list from 1.
function captum.classes(tensor)
  local list = tensor:totable()
  for i, class in ipairs(list) do list[i] = class + 1 end
  return list
end

--- Asserts that tensors agree, relative to the largest magnitude of b.
function captum.close(a, b, tolerance)
  assert.same(b:shape(), a:shape())
  local off = (a - b):abs():max() / math.max(b:abs():max(), 1e-12)
  assert.is_true(off <= (tolerance or 1e-5), ("off by %g"):format(off))
end

return captum
