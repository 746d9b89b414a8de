--- Whether ranks that do one thing together have the same before them: model, weights and images. Each rank runs the
-- same script, but on its own disk: a file that differs there would be seen in the results alone, or not at all.
-- @module secateur.evaluation.same_call
local differences = require "secateur.util.differences"
local errors = require "secateur.util.errors"
local fingerprint = require "secateur.util.fingerprint"
local image_files = require "secateur.data.image_files"
local json = require "secateur.util.json"
local options = require "secateur.util.options"
local shares = require "secateur.mpi.shares"

local same_call = {}

local LONGEST = 160 -- bytes of a value that a message shows

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

--- Raises, on all ranks, unless they have described the same. All ranks call it.
-- @tparam Group group
-- @string weights of `same_call.weights`
-- @tab description plain data
function same_call.compare(group, weights, description)
  local texts = group:all_gather(json.encode { weights = weights, description = description })
  local first = json.decode(texts[1])
  for i = 2, #texts do
    local other = json.decode(texts[i])
    local text = differences.text(first.description, other.description, LONGEST,
      "%s: %s on rank 0, %s on rank " .. i - 1)
      or first.weights ~= other.weights and ("model: other weights on rank %d than on rank 0"):format(i - 1)
    if text then
      errors.raise("group: expected the same call with the same model, data and options on all ranks: %s", text)
    end
  end
end

-- What ranks compare of what is read: how many images, and the files as far as a quick look tells. A file that cannot be
-- read is not the matter here.
local function describe(images)
  if type(images) == "userdata" then return { tensor = fingerprint.of(images) } end
  local good, files = errors.catch(same_call.images, { images = images }, "quick")
  if errors.is_interruption(files) then errors.rethrow(files) end
  return { count = images:count(), files = good and files or nil }
end

--- Raises unless all ranks have the same model and images.
-- @tparam ?Group group without others nothing is looked at
-- @tparam Model model
-- @tparam Split|Tensor images
function same_call.check(group, model, images)
  if shares.are(group) then same_call.compare(group, same_call.weights(model), describe(images)) end
end

return same_call
