--- What several processes that train one model tell each other besides gradients: that they have the same before them,
-- and a checkpoint's state.
-- @module secateur.training.ranks
local core = require "secateur.core"
local errors = require "secateur.util.errors"
local json = require "secateur.util.json"
local options = require "secateur.util.options"
local same_call = require "secateur.evaluation.same_call"

local ranks = {}

--- Raises unless all ranks train the same: model, weights, options, and data, as far as `verify` says.
-- @tab job
function ranks.check_same(job)
  local group, opts, data, prepared = job.group, job.opts, job.data, {}
  if not group then return end
  for name, split in pairs(data) do prepared[name] = same_call.prepared(split) end
  same_call.compare(group, "train", same_call.weights(job.model), { of = job.description, epochs = opts.epochs,
    patience = opts.patience or false, resume = opts.resume, checkpoint = opts.checkpoint ~= nil,
    images = same_call.images(data, opts.verify), prepared_images = prepared })
end

-- What ranks have in common at the end of an epoch, by what it is called in messages.
local function common_of(job, row)
  return { { "weights", same_call.weights(job.model) }, { "images of data.train", job.read_by_all or "" },
    { "losses of validation", row.val_loss and ("%.17g"):format(row.val_loss) or "" } }
end

--- The end of an epoch: raises unless weights, what all ranks read, and validation are the same on all; gives the row
-- what the clock of rank 0 said.
-- @tab job
-- @tab row of the epoch: `epoch`, `val_loss`, and of this rank's clock `seconds`, `images_per_second`
function ranks.agree(job, row)
  local group = job.group
  if not group then return end
  local common = common_of(job, row)
  local texts = group:all_gather(json.encode { common = common, seconds = row.seconds, rate = row.images_per_second })
  local first = json.decode(texts[1])
  for i = 2, #texts do
    local other = json.decode(texts[i])
    for k, entry in ipairs(first.common) do
      if entry[2] ~= other.common[k][2] then
        errors.raise("group: the %s of rank %d differ from those of rank 0 after epoch %d: expected the same data and "
          .. "the same version of secateur on all machines, and memory without faults", entry[1], i - 1, row.epoch)
      end
    end
  end
  row.seconds, row.images_per_second = first.seconds, first.rate
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
