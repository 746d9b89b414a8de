--- Whether ranks that do one thing together do the same with the same before them: verb, options, model, weights and
-- images. Each rank runs the same script, but on its own disk: a file that differs there would be seen in the results
-- alone, or not at all.
-- @module secateur.evaluation.same_call
local differences = require "secateur.util.differences"
local errors = require "secateur.util.errors"
local fingerprint = require "secateur.util.fingerprint"
local image_files = require "secateur.data.image_files"
local json = require "secateur.util.json"
local options = require "secateur.util.options"
local shares = require "secateur.mpi.shares"
local tensors = require "secateur.util.tensors"

local same_call = {}

local LONGEST = 160 -- bytes of a value that a message shows
local DEEPEST = 4 -- tables in one another that are looked at
local IMAGES_PER_SPLIT = 8 -- that are compared as the model sees them

-- Options that a rank may have of its own.
local may_differ = { group = true, workers = true, progress = true, on_progress = true, on_batch = true,
  readable = true }

--- A short text of a model's weights. Of large tensors the fingerprint looks at some values; their sums see the others.
-- @tparam Model model
-- @treturn string 16 characters
function same_call.weights(model)
  local state, parts = model:state(), { fingerprint.model(model) }
  for i, name in ipairs(options.sorted_keys(state)) do
    local tensor = state[name]
    parts[i + 1] = tensor:dtype() == "int64" and "" or ("%.17g"):format(tensor:sum())
  end
  return fingerprint.text(table.concat(parts, " "))
end

--- What the image files of splits are, but for their times, which differ between machines. Images without files would
-- all have to be made for that, which each rank does with its own alone.
-- @tab splits name -> Split
-- @string verify see `image_files.verify`
-- @treturn {[string]=string} name -> text, of splits that have files
function same_call.images(splits, verify)
  local with_files, texts = {}, {}
  for name, split in pairs(splits) do
    if split.shared and split.shared.files then with_files[name] = split end
  end
  for name, rows in pairs((image_files.verify(with_files, {}, verify))) do
    local parts = {}
    for i, row in ipairs(rows) do parts[i] = ("%d %d"):format(row[1], row[3]) end
    texts[name] = fingerprint.text(table.concat(parts, "\n"))
  end
  return texts
end

--- What the model sees of some images of a split, evenly spread: which files are the same may be prepared otherwise.
-- @param split
-- @treturn ?string nil of a split that does not give these images by number
function same_call.prepared(split)
  local read, count, indices, sums = split.read or split.batch, split:count(), {}, {}
  if type(read) ~= "function" then return nil end
  for i = 1, math.min(count, IMAGES_PER_SPLIT) do indices[i] = 1 + (i - 1) * count // IMAGES_PER_SPLIT end
  local good, x = errors.catch(read, split, indices)
  if errors.is_interruption(x) then errors.rethrow(x) end
  if not good then return nil end -- who needs these images is told why
  for i = 1, x and x:size(1) or 0 do sums[i] = ("%.17g"):format(x:view(i):sum()) end
  return fingerprint.text(table.concat(sums, " "))
end

-- Raises unless this is what a rank says that calls the verb; else gives what it says.
local function read_call(group, verb, rank, text)
  local readable, call = errors.try(json.decode, text)
  local other = readable and type(call) == "table" and call.verb or "something else"
  if other == verb then return call end
  errors.raise("group: expected the same call on all ranks: rank %d has called %s, rank %d %s", rank, other, group.rank,
    verb)
end

--- Raises, on all ranks, unless they call the same verb and have described the same. All ranks call it.
-- @tparam Group group
-- @string verb the public function
-- @string weights of `same_call.weights`
-- @tab description plain data
function same_call.compare(group, verb, weights, description)
  local texts = group:all_gather(json.encode { verb = verb, weights = weights, description = description })
  local first
  for i, said in ipairs(texts) do
    local other = read_call(group, verb, i - 1, said)
    first = first or other
    local text = differences.text(first.description, other.description, LONGEST,
      "%s: %s on rank 0, %s on rank " .. i - 1)
      or first.weights ~= other.weights and ("model: other weights on rank %d than on rank 0"):format(i - 1)
    if text then
      errors.raise("group: expected the same call with the same model, data and options on all ranks: %s", text)
    end
  end
end

local plain

local function plain_fields(value, depth)
  local fields = {}
  for key, item in pairs(value) do fields[tostring(key)] = plain(item, depth + 1) end
  return fields
end

-- A value as plain data; of functions and objects, no more than what they are.
function plain(value, depth)
  local kind = type(value)
  if kind == "number" then return value - value == 0 and value or tostring(value) end
  if kind == "boolean" or kind == "string" then return value end
  if tensors.is(value) then return "Tensor " .. table.concat(value:shape(), " x ") end
  if kind ~= "table" or depth > DEEPEST then return kind end
  local is_object = getmetatable(value) and #value == 0 or rawget(value, "batches")
  return is_object and "object" or plain_fields(value, depth)
end

local function describe_options(opts)
  local given = {}
  for key, value in pairs(opts) do
    if not may_differ[key] then given[key] = value end
  end
  return plain(given, 0)
end

local function list_text(list)
  local good, text = errors.try(json.encode, list)
  return good and fingerprint.text(text) or nil
end

-- What ranks compare of what is read: what the split says of it, and the files as far as a quick look tells. A file
-- that cannot be read is not the matter here.
local function describe(images)
  if type(images) == "userdata" then return { tensor = fingerprint.of(images) } end
  local good, files = errors.catch(same_call.images, { images = images }, "quick")
  if errors.is_interruption(files) then errors.rethrow(files) end
  return { count = images.count and images:count() or nil, labels = list_text(images.labels),
    names = list_text(images.names), preparation = plain(images.preparation, 0), files = good and files or nil }
end

--- Raises unless all ranks call the same verb with the same model, images and options.
-- @tparam ?Group group without others nothing is looked at
-- @string verb the public function
-- @tparam Model model
-- @tparam Split|Tensor images
-- @tab opts checked
function same_call.check(group, verb, model, images, opts)
  if not shares.are(group) then return end
  local given = describe(images)
  given.options = describe_options(opts)
  same_call.compare(group, verb, same_call.weights(model), given)
end

return same_call
