--- What several processes that train one model tell each other besides gradients: that they have the same before them,
-- and a checkpoint's state.
-- @module secateur.training.ranks
local core = require "secateur.core"
local differences = require "secateur.util.differences"
local errors = require "secateur.util.errors"
local fingerprint = require "secateur.util.fingerprint"
local image_files = require "secateur.data.image_files"
local json = require "secateur.util.json"
local options = require "secateur.util.options"

local ranks = {}

local LONGEST = 160 -- bytes of a value that a message shows

-- A short text of a model's weights. Of large tensors the fingerprint looks at some values; their sums see the others.
local function weights_text(model)
  local state, parts = model:state(), { fingerprint.model(model) }
  for i, name in ipairs(options.sorted_keys(state)) do
    local tensor = state[name]
    parts[i + 1] = tensor:dtype() == "int64" and "" or ("%.17g"):format(tensor:sum())
  end
  return fingerprint.text(table.concat(parts, " "))
end

-- What the image files are, but for their times, which differ between machines. Images without files would all have to
-- be made for that, which each rank does with its own alone.
local function image_texts(job)
  local splits, texts = {}, {}
  for _, name in ipairs { "train", "val" } do
    local split = job.data[name]
    if split and split.shared and split.shared.files then splits[name] = split end
  end
  for name, rows in pairs((image_files.verify(splits, {}, job.opts.verify))) do
    local parts = {}
    for i, row in ipairs(rows) do parts[i] = ("%d %d"):format(row[1], row[3]) end
    texts[name] = fingerprint.text(table.concat(parts, "\n"))
  end
  return texts
end

--- Raises unless all ranks train the same: model, weights, options, and data, as far as `verify` says.
-- @tab job
function ranks.check_same(job)
  local group = job.group
  if not group then return end
  local opts = job.opts
  local description = { of = job.description, epochs = opts.epochs, patience = opts.patience or false,
    resume = opts.resume, checkpoint = opts.checkpoint ~= nil, images = image_texts(job) }
  local texts = group:all_gather(json.encode { weights = weights_text(job.model), training = description })
  local first = json.decode(texts[1])
  for i = 2, #texts do
    local other = json.decode(texts[i])
    local text = differences.text(first.training, other.training, LONGEST, "%s: %s on rank 0, %s on rank " .. i - 1)
      or first.weights ~= other.weights and ("model: other weights on rank %d than on rank 0"):format(i - 1)
    if text then
      errors.raise("group: expected the same call with the same model, data and options on all ranks: %s", text)
    end
  end
end

--- The end of an epoch: raises unless the weights are the same on all ranks; gives what the clock of rank 0 said.
-- @tab job
-- @int epoch
-- @number ... of this rank's clock
-- @return the numbers of rank 0
function ranks.agree(job, epoch, ...)
  local group = job.group
  if not group then return ... end
  local texts = group:all_gather(weights_text(job.model) .. string.pack("<" .. ("d"):rep(select("#", ...)), ...))
  for i = 2, #texts do
    if texts[i]:sub(1, 16) ~= texts[1]:sub(1, 16) then
      errors.raise("group: the weights of rank %d differ from those of rank 0 after epoch %d: expected the same data "
        .. "and the same version of secateur on all machines, and memory without faults", i - 1, epoch)
    end
  end
  return string.unpack("<" .. ("d"):rep(select("#", ...)), texts[1], 17)
end

-- ---- the state of a checkpoint ----

local function send_tensors(group, tensors, names)
  for _, name in ipairs(names) do
    local tensor = tensors[name]
    if tensor:dtype() == "int64" then
      local values = tensor:reshape(tensor:numel()):totable()
      for i, value in ipairs(values) do values[i] = ("<j"):pack(value) end
      group:broadcast(table.concat(values), 0)
    else
      group:broadcast_tensor(tensor, 0)
    end
  end
end

local function receive_tensors(group, entries)
  local tensors = {}
  for _, entry in ipairs(entries) do
    local tensor
    if entry.dtype == "int64" then
      local text, values = group:broadcast(nil, 0), {}
      for place = 1, #text, 8 do values[#values + 1] = ("<j"):unpack(text, place) end
      tensor = core.tensor(values, "int64"):reshape(entry.shape)
    else
      tensor = core.zeros(table.unpack(entry.shape))
      group:broadcast_tensor(tensor, 0)
    end
    tensors[entry.name] = tensor
  end
  return tensors
end

local parts = { "model", "optimiser", "average", "best" }

local function list_part(tensors)
  local names, entries = options.sorted_keys(tensors), {}
  for i, name in ipairs(names) do
    entries[i] = { name = name, dtype = tensors[name]:dtype(), shape = tensors[name]:shape() }
  end
  return entries, names
end

--- Gives all ranks the state that rank 0 read from a checkpoint.
-- @tab job
-- @tparam ?table state as `checkpoint.load` gives it; nil where there is none, and on other ranks than 0
-- @treturn ?table the state; without `images` on other ranks
function ranks.broadcast_state(job, state)
  local group = job.group
  if not group then return state end
  if group.rank == 0 then
    local head, names = { found = state ~= nil, parts = {} }, {}
    for _, part in ipairs(state and parts or {}) do
      if state[part] then head.parts[part], names[part] = list_part(state[part]) end
    end
    head.record = state and state.record
    group:broadcast(json.encode(head), 0)
    for _, part in ipairs(parts) do
      if names[part] then send_tensors(group, state[part], names[part]) end
    end
    return state
  end
  local head = json.decode(group:broadcast(nil, 0))
  if not head.found then return nil end
  local received = { record = head.record }
  for _, part in ipairs(parts) do
    if head.parts[part] then received[part] = receive_tensors(group, head.parts[part]) end
  end
  return received
end

return ranks
