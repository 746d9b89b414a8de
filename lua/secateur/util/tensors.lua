--- What is asked of Tensors in many places. Goes by their methods alone, without the core.
-- @module secateur.util.tensors
local tensors = {}

--- Bytes that one element takes, by type.
tensors.element_bytes = { float32 = 4, float64 = 8, int64 = 8, uint8 = 1 }

--- How many numbers a shape holds.
-- @tparam {int,...} shape
-- @treturn int
function tensors.numel(shape)
  local n = 1
  for _, size in ipairs(shape) do n = n * size end
  return n
end

--- Whether a value is a Tensor.
-- @param value anything
-- @treturn boolean
function tensors.is(value)
  local class = type(value) == "userdata" and getmetatable(value)
  return type(class) == "table" and class.__index ~= nil and value.totable ~= nil
end

--- Whether all elements are finite, and their magnitudes too small for their sum to overflow.
-- @param tensor a Tensor of real numbers
-- @treturn boolean
function tensors.finite(tensor)
  local size = tensor:abs():sum()
  return size == size and size ~= math.huge
end

return tensors
