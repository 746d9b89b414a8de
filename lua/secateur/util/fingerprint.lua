--- Short texts that stand for models, datasets and options, to tell whether two experiments are the same.
-- They guard against mistakes, not against forgery: of a large array 64 values are looked at, of a split 8 images.
-- @module secateur.util.fingerprint
local closures = require "secateur.util.closures"
local decimal = require "secateur.util.decimal"
local errors = require "secateur.util.errors"
local json = require "secateur.util.json"
local tensors = require "secateur.util.tensors"

local fingerprint = {}

local values_per_tensor, values_per_option, images_per_split = 64, 65536, 8

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

-- `whole`: how many values are all looked at; of more, `values_per_tensor`, or where `whole` is given 4096.
local function tensor_text(tensor, whole)
  local size = tensor:numel()
  local flat, parts = tensor:reshape(size), { table.concat({ table.unpack(tensor:shape()) }, "x") }
  local looked_at = not whole and values_per_tensor or size <= whole and size or 4096
  for _, i in ipairs(spread(size, looked_at)) do parts[#parts + 1] = decimal("%.9g", flat:get(i)) end
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

local function has(value, ...)
  for _, name in ipairs { ... } do
    local good, field = pcall(function() return value[name] end) -- a class of the user's may raise
    if not good or type(field) ~= "function" then return false end
  end
  return true
end

local function is_dataset(value)
  local train = rawget(value, "train")
  return type(train) == "table" and is_split(train)
end

local function dataset_text(value)
  local parts = { json.encode(value.classes) }
  for _, name in ipairs { "train", "val", "test" } do
    if value[name] then parts[#parts + 1] = split_text(name, value[name]) end
  end
  return "dataset " .. fingerprint.text(table.concat(parts, "\n"))
end

-- What stands for a Tensor, a model, a split, a data set or a group of processes, on whose number no result depends;
-- nil for anything else.
local function object_text(value)
  if tensors.is(value) then return "tensor " .. fingerprint.text(tensor_text(value, values_per_option)) end
  if type(value) ~= "table" then return nil end
  if has(value, "batch", "count") then return "split " .. fingerprint.text(split_text("option", value)) end
  if has(value, "barrier", "all_gather") then return "group of processes" end
  if has(value, "forward", "state") then return "model " .. fingerprint.model(value) end
  if is_dataset(value) then return dataset_text(value) end
end

-- `above`: the tables that the value is in.
local function plain_options(value, place, above)
  local kind = type(value)
  if kind == "nil" or kind == "boolean" or kind == "number" or kind == "string" then return value end
  local object = object_text(value)
  if object then return object end
  if kind ~= "table" then return kind .. " " .. fingerprint.text(closures.text(value, object_text, place)) end
  if above[value] then
    errors.raise("%sa table that holds itself, which nothing can stand for", place and place .. ": " or "")
  end
  local plain = {}
  above[value] = true
  for key, item in pairs(value) do
    plain[key] = plain_options(item, place and ("%s.%s"):format(place, key) or tostring(key), above)
  end
  above[value] = nil
  if #plain > 0 and next(plain, #plain) then -- a list with names beside it
    local named = {}
    for key, item in pairs(plain) do named[tostring(key)] = item end
    return named
  end
  return plain
end

--- Options as plain data. Functions are told apart by their lines in the source and by what they refer to, deeply:
-- their upvalues as they are now, functions, tables with their metatables, plain values, Tensors, models and splits;
-- the globals that they look up, too; what is of Lua's library or of this package by its name. One that counts its
-- calls in an upvalue is another one after each of them. Tensors stand by their values (64 K of them, of larger ones
-- 4096), splits by labels, file names and some images.
-- @param value
-- @string[opt] place what messages call it, such as "sampling.mine"
-- @return plain data, see `secateur.util.json`
-- @raise where nothing can stand for something, as for files, coroutines, values of C and tables that hold themselves:
--   its place, and to give a version instead
function fingerprint.options(value, place)
  return plain_options(value, place, {})
end

local function plain_text(value, place)
  if value == nil then return "nil" end
  if type(value) ~= "table" then return json.encode(fingerprint.options(value, place)) end
  if has(value, "state") then return "model " .. fingerprint.model(value) end
  if is_dataset(value) then return dataset_text(value) end
  return json.encode(fingerprint.options(value, place))
end

--- A short text that stands for models, data sets, splits, tensors and options: equal ones have the same, others
-- another, so that what took long to make can be kept under it. It guards against mistakes, not against forgery: of
-- a parameter 64 values are looked at, of a split all labels and names and 8 images as a model would get them. Of a
-- function its lines in the source count, and all that it refers to, as it is now; where nothing can stand
-- for that (a file, a coroutine), give a version of your own in its place.
-- @param ... models, data sets, splits, tensors, functions, plain values, and tables of these
-- @treturn string 16 hexadecimal digits
-- @usage
-- local key = sc.fingerprint(data, { epochs = 20, seed = 1 })
function fingerprint.of(...)
  local parts = table.pack(...)
  for i = 1, parts.n do parts[i] = errors.within("fingerprint", plain_text, parts[i], "argument " .. i) end
  return fingerprint.text(table.concat(parts, "\n"))
end

return fingerprint
