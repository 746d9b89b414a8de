--- Results to the bit: what must not depend on threads, batches or machines.
local core = require "secateur.core"

local bits = {}

-- What tells 0 from -0: large numbers of either sign.
local function signs(tensor) return (1 / tensor):clamp(-1e30, 1e30) end

--- Whether two lists of finite Tensors hold the same bits, zeros' signs included.
-- @tparam {Tensor,...} a
-- @tparam {Tensor,...} b
-- @treturn boolean
function bits.equal(a, b)
  if #a ~= #b then return false end
  for i = 1, #a do
    if (a[i] - b[i]):abs():max() ~= 0 or (signs(a[i]) - signs(b[i])):abs():max() ~= 0 then return false end
  end
  return true
end

--- Raises unless a function gives the same with 1, 2, 3 and 8 threads.
-- @func run -> list of finite Tensors
function bits.same_for_threads(run)
  local before, first = core.threads(), nil
  for _, threads in ipairs { 1, 2, 3, 8 } do
    core.threads(threads)
    local good, found = pcall(run)
    core.threads(before)
    if not good then error(found, 2) end
    first = first or found
    if not bits.equal(first, found) then error(("other bits with %d threads than with 1"):format(threads), 2) end
  end
end

return bits
