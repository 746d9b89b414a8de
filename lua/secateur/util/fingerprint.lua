--- Short texts that stand for models, datasets and options, to tell whether two experiments are the same.
-- They guard against mistakes, not against forgery: of a large array 64 values are looked at, of a split 8 images.
-- @module secateur.util.fingerprint
local decimal = require "secateur.util.decimal"
local errors = require "secateur.util.errors"
local files = require "secateur.util.files"
local json = require "secateur.util.json"
local lfs = require "lfs"
local tensors = require "secateur.util.tensors"

local fingerprint = {}

local values_per_tensor, images_per_split = 64, 8

--- 64-bit FNV-1a of a text, as 16 hexadecimal digits.
-- @string text
-- @treturn string
function fingerprint.text(text)
  local hash = 0xcbf29ce484222325
  for i = 1, #text do hash = (hash ~ text:byte(i)) * 0x100000001b3 end
  return ("%016x"):format(hash)
end

-- `count` whole numbers from 1 to `size`, evenly spread, first and last among them.
local function spread(size, count)
  local list = {}
  count = math.min(size, count)
  for i = 1, count do list[i] = count == 1 and 1 or 1 + (i - 1) * (size - 1) // (count - 1) end
  return list
end

local function tensor_text(tensor)
  local size = tensor:numel()
  local flat, parts = tensor:reshape(size), { table.concat({ table.unpack(tensor:shape()) }, "x") }
  for _, i in ipairs(spread(size, values_per_tensor)) do parts[#parts + 1] = decimal("%.9g", flat:get(i)) end
  return table.concat(parts, " ")
end

--- Of a model: the names, shapes and values of its parameters. A model with a method `fingerprint` answers itself.
-- @param model
-- @treturn string
function fingerprint.model(model)
  if model.fingerprint then return model:fingerprint() end
  local state, names, parts = model:state(), {}, {}
  for name in pairs(state) do names[#names + 1] = name end
  table.sort(names)
  for i, name in ipairs(names) do parts[i] = name .. " " .. tensor_text(state[name]) end
  return fingerprint.text(table.concat(parts, "\n"))
end

local function is_split(value) return type(value.batch) == "function" and type(value.count) == "function" end

local function split_text(name, split)
  local count = split:count()
  local text = ("%s %d %s"):format(name, count, json.encode { split.labels, split.names })
  if count == 0 then return text end
  local x = (split.read or split.batch)(split, spread(count, images_per_split))
  return text .. "\n" .. (x and tensor_text(x) or "none of the images looked at can be read")
end

--- Of a dataset: its classes, and the labels, file names and some images of the splits used. A dataset with a method
-- `fingerprint` answers itself.
-- @param dataset
-- @treturn string
function fingerprint.dataset(dataset)
  if dataset.fingerprint then return dataset:fingerprint() end
  local parts = { json.encode(dataset.classes) }
  for _, name in ipairs { "train", "test" } do parts[#parts + 1] = split_text(name, dataset[name]) end
  return fingerprint.text(table.concat(parts, "\n"))
end

-- The text that a function was compiled from; nil where there is no such file. One that is there and cannot be read is
-- an error: what would stand for the function then would be something else.
local function source_of(info)
  if info.source:sub(1, 1) ~= "@" then return info.source end
  local path = info.source:sub(2)
  if not lfs.attributes(path, "mode") then return nil end
  return errors.check(files.read_all(path))
end

-- A function as its lines in the source, wherever they stand there; compiled code, which holds line numbers, only
-- where the source cannot be had.
local function function_text(value)
  local info = debug.getinfo(value, "S")
  if info.what == "C" then return "of C" end
  local source = source_of(info)
  local lines, number = {}, 0
  for line in (source or ""):gmatch("([^\n]*)\n?") do
    number = number + 1
    if number >= info.linedefined and number <= info.lastlinedefined then lines[#lines + 1] = line end
  end
  if #lines == 0 then lines[1] = string.dump(value, true) end
  return fingerprint.text(table.concat(lines, "\n"))
end

--- Options as plain data: functions by their source (what they refer to is not seen), tensors by their values, splits
-- by labels, file names and some images.
-- @param value
-- @return plain data, see `secateur.util.json`
function fingerprint.options(value)
  local kind = type(value)
  if kind == "function" then
    return "function " .. function_text(value)
  elseif kind == "userdata" then
    return tensors.is(value) and "tensor " .. fingerprint.text(tensor_text(value)) or "userdata"
  elseif kind == "table" and is_split(value) then
    return "split " .. fingerprint.text(split_text("option", value))
  elseif kind == "table" then
    local plain = {}
    for key, item in pairs(value) do plain[key] = fingerprint.options(item) end
    if #plain > 0 and next(plain, #plain) then -- a list with names beside it
      local named = {}
      for key, item in pairs(plain) do named[tostring(key)] = item end
      return named
    end
    return plain
  end
  return value
end

local function is_dataset(value)
  return type(value) == "table" and type(value.train) == "table" and is_split(value.train)
end

local function plain_text(value)
  if value == nil then return "nil" end
  if type(value) ~= "table" then return json.encode(fingerprint.options(value)) end
  if type(value.state) == "function" then return "model " .. fingerprint.model(value) end
  if not is_dataset(value) then return json.encode(fingerprint.options(value)) end
  local parts = { json.encode(value.classes) }
  for _, name in ipairs { "train", "val", "test" } do
    if value[name] then parts[#parts + 1] = split_text(name, value[name]) end
  end
  return "dataset " .. fingerprint.text(table.concat(parts, "\n"))
end

--- A short text that stands for models, data sets, splits, tensors and options: equal ones have the same, others
-- another, so that what took long to make can be kept under it. It guards against mistakes, not against forgery: of
-- a parameter 64 values are looked at, of a split all labels and names and 8 images as a model would get them, of a
-- function its lines in the source.
-- @param ... models, data sets, splits, tensors, plain values, and tables of plain values
-- @treturn string 16 hexadecimal digits
-- @usage
-- local key = sc.fingerprint(data, { epochs = 20, seed = 1 })
function fingerprint.of(...)
  local parts = table.pack(...)
  for i = 1, parts.n do parts[i] = errors.within("fingerprint", plain_text, parts[i]) end
  return fingerprint.text(table.concat(parts, "\n"))
end

return fingerprint
