--- Shapes of a file's tensors, read with suspicion.
-- @module secateur.pretrained.architectures.shapes
local errors = require "secateur.util.errors"

local shapes_of = {}

--- A shape as text.
-- @tparam {int,...} shape
-- @treturn string
function shapes_of.text(shape) return "[" .. table.concat(shape, "x") .. "]" end

--- The shape of a weight that must be there, with so many dimensions; raises otherwise.
-- @tab shapes name -> shape
-- @string name
-- @int ndim
-- @treturn {int,...}
function shapes_of.weight(shapes, name, ndim)
  local shape = shapes[name]
  if not shape then errors.raise("expected a tensor '%s', which is not there", name) end
  if #shape ~= ndim then
    errors.raise("'%s': expected %d dimensions, got %s", name, ndim, shapes_of.text(shape))
  end
  return shape
end

--- The root of a square, or nil.
-- @number n
-- @treturn ?int
function shapes_of.square_root(n)
  local root = math.floor(math.sqrt(n) + 0.5)
  return root * root == n and root or nil
end

return shapes_of
