--- A file's tensors under torchvision's names.
-- @module secateur.pretrained.file_view
local errors = require "secateur.util.errors"
local parameter_names = require "secateur.formats.parameter_names"
local options = require "secateur.util.options"

--- Names, shapes and tensors.
-- @type View
local View = {}
View.__index = View

-- Sorted.
function View:names() return options.sorted_keys(self.called) end

-- As in the file.
function View:info(name) return self.source:info(self.called[name]) end

-- The tensor.
function View:read(name) return self.source:read(self.called[name]) end

-- Of all tensors, as float32.
function View:bytes()
  local bytes = 0.0 -- a float, which no shape overflows
  for _, shape in pairs(self.shapes) do
    local count = 1.0
    for _, size in ipairs(shape) do count = count * size end
    bytes = bytes + 4 * count
  end
  return math.tointeger(math.min(bytes, 2.0 ^ 53))
end

-- Those after "<stem>.", sorted.
function View:below(stem)
  local list = {}
  for _, name in ipairs(self:names()) do
    if name:sub(1, #stem + 1) == stem .. "." then list[#list + 1] = name:sub(#stem + 2) end
  end
  return list
end

-- Calls a tensor something else.
function View:rename(from, to)
  for _, map in ipairs { self.called, self.shapes } do map[to], map[from] = map[from], nil end
end

--- Looks at a source of tensors under torchvision's names; raises when two have the same.
-- @param source what state.open gives
-- @string[opt] prefix only names that start with it count; by default what names.prefix finds comes off
-- @treturn View with `names`, `info` and `read`, as the source has, `bytes`, `below` and `rename`; `called`:
--   torchvision's name -> the source's; `shapes`: torchvision's name -> shape
local function open_view(source, prefix)
  local list = source:names()
  prefix = parameter_names.settle_prefix(list, prefix)
  local view = setmetatable({ source = source, called = {}, shapes = {} }, View)
  for _, name in ipairs(list) do
    if name:sub(1, #prefix) == prefix then
      local own = parameter_names.torchvision(name:sub(#prefix + 1))
      if view.called[own] then errors.raise("'%s' and '%s' name the same tensor", view.called[own], name) end
      view.called[own], view.shapes[own] = name, source:info(name).shape
    end
  end
  return view
end

return open_view
