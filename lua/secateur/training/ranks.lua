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
  local group, opts = job.group, job.opts
  if not group then return end
  same_call.compare(group, same_call.weights(job.model), { of = job.description, epochs = opts.epochs,
    patience = opts.patience or false, resume = opts.resume, checkpoint = opts.checkpoint ~= nil,
    images = same_call.images({ train = job.data.train, val = job.data.val }, opts.verify) })
end

--- The end of an epoch: raises unless the weights are the same on all ranks; gives what the clock of rank 0 said.
-- @tab job
-- @int epoch
-- @number ... of this rank's clock
-- @return the numbers of rank 0
function ranks.agree(job, epoch, ...)
  local group = job.group
  if not group then return ... end
  local texts = group:all_gather(same_call.weights(job.model) .. string.pack("<" .. ("d"):rep(select("#", ...)), ...))
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
