--- The small networks of spec/fixtures/foreign, by torchvision and timm.
local safetensors = require "secateur.formats.safetensors"

local foreign = {}

foreign.folder = "spec/fixtures/foreign/"

local all = safetensors.load(foreign.folder .. "networks.safetensors")

--- A tensor of the file.
function foreign.tensor(name) return assert(all[name], name) end

--- A network's state dict.
-- @string name
-- @func[opt] rename applied to the names
-- @tab[opt] tensors of another file of such networks
function foreign.state(name, rename, tensors)
  local state, lead = {}, name .. "/state/"
  for key, tensor in pairs(tensors or all) do
    if key:sub(1, #lead) == lead then
      local own = key:sub(#lead + 1)
      state[rename and rename(own) or own] = tensor
    end
  end
  return state
end

--- The largest difference over the largest expected value.
function foreign.error(got, expected)
  assert(table.concat(got:shape(), "x") == table.concat(expected:shape(), "x"), "another shape")
  return (got - expected):abs():reshape(-1):max() / expected:abs():reshape(-1):max()
end

return foreign
