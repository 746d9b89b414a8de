--- What all ranks of a group do together, made of messages between two. Each verb has a label of its own, so that ranks
-- that do different things are told so and do not wait for ever.
-- @module secateur.mpi.collectives
local errors = require "secateur.util.errors"
local options = require "secateur.util.options"

local CHANNEL = 3 -- of csrc/mpi/transport.h
local labels = { broadcast = 1, gather = 2, all_gather = 3, barrier = 4 }

local names = {}
for name, label in pairs(labels) do names[label] = name end

local collectives = {}

local function check(result, message)
  if result == nil then errors.raise(message) end
end

--- Refuses what is no Tensor.
-- @string name of the method
-- @param tensor anything
function collectives.check_tensor(name, tensor)
  if type(tensor) ~= "userdata" or (getmetatable(tensor) or {}).__name ~= "Tensor" then
    errors.refuse(name, "tensor: expected a Tensor, got %s", options.describe(tensor))
  end
end

-- A binomial tree whose root is `root`: the rank above this one (nil at the root), and those below it, the one with
-- most below itself first.
local function tree(group, root)
  local place, size = (group.rank - root) % group.size, group.size
  local step, above, below = 1, nil, {}
  while step < size and place & step == 0 do step = step << 1 end
  if place > 0 then above = ((place & ~step) + root) % size end
  step = step >> 1
  while step > 0 do
    if place + step < size then below[#below + 1] = (place + step + root) % size end
    step = step >> 1
  end
  return above, below
end

local function receive(native, rank, verb)
  local source, text, label = native.receive(rank, CHANNEL)
  if source == nil then errors.raise(text) end
  if label ~= labels[verb] then
    errors.refuse(verb, "rank %d has called %s: all ranks have to call the same in the same order", rank,
      names[label])
  end
  return text
end

local function send(native, ranks, verb, text)
  check(native.send(ranks, CHANNEL, text, labels[verb]))
end

local function spread(group, native, text, root, verb)
  local above, below = tree(group, root)
  if above then text = receive(native, above, verb) end
  send(native, below, verb, text)
  return text
end

local function collect(group, native, text, root, verb)
  if group.rank ~= root then
    send(native, { root }, verb, text)
    return nil
  end
  local texts = {}
  for rank = 0, group.size - 1 do texts[rank + 1] = rank == root and text or receive(native, rank, verb) end
  return texts
end

--- Gives all ranks the text of the root.
-- @tparam Group group
-- @tab native module
-- @string text
-- @int root
-- @treturn string
function collectives.broadcast(group, native, text, root)
  return spread(group, native, text, root, "broadcast")
end

--- Gives the root the texts of all.
-- @tparam Group group
-- @tab native module
-- @string text
-- @int root
-- @treturn ?{string,...}
function collectives.gather(group, native, text, root)
  return collect(group, native, text, root, "gather")
end

--- Gives all ranks the texts of all.
-- @tparam Group group
-- @tab native module
-- @string text
-- @treturn {string,...}
function collectives.all_gather(group, native, text)
  local texts = collect(group, native, text, 0, "all_gather")
  local packed = texts and string.pack(("s8"):rep(#texts), table.unpack(texts))
  packed = spread(group, native, packed, 0, "all_gather")
  if texts then return texts end
  local place = 1
  texts = {}
  for i = 1, group.size do texts[i], place = string.unpack("s8", packed, place) end
  return texts
end

--- Gives all ranks the numbers of the root's tensor.
-- @tparam Group group
-- @tab native module
-- @tparam Tensor tensor is changed but at the root
-- @int root
function collectives.broadcast_tensor(group, native, tensor, root)
  local above, below = tree(group, root)
  if above then check(native.receive_tensor(above, CHANNEL, tensor)) end
  check(native.send_tensor(below, CHANNEL, tensor))
end

--- Waits until all have called it.
-- @tparam Group group
-- @tab native module
function collectives.barrier(group, native)
  collect(group, native, "", 0, "barrier")
  spread(group, native, "", 0, "barrier")
end

return collectives
