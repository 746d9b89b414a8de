--- Groups: the processes that one launcher started, and messages between them.
-- @module secateur.mpi.group
local class_methods = require "secateur.util.methods"
local collectives = require "secateur.mpi.collectives"
local errors = require "secateur.util.errors"
local options = require "secateur.util.options"

local TEXT, TENSOR = 1, 2 -- channels of csrc/mpi/transport.h

--- All processes that run this script together. Each has a rank, from 0 to size - 1. What one rank sends to another
-- arrives in the order in which it was sent; texts, tensors and what all ranks do together never meet. Every wait hears
-- Ctrl-C and leaves the cores to others. A wait ends with an error once it cannot be answered: `rank 3: ...` where that
-- rank reported a failure or ended with one, `rank 3 has ended` where it ended otherwise. After a failure the group is
-- of no more use: every wait ends with the same error.
-- @type Group
-- @field rank of this process, from 0
-- @field size number of processes
-- @field host name of this machine
-- @field local_size number of processes on this machine
-- @field threads of this process, for the loops of the core
-- @field sharing what the processes do for each other at the moment ("a sweep"), so that they cannot meet; else nil
-- @field library the version of the MPI library; nil for a process on its own
local Group = { __name = "Group" }
Group.__index = Group

function Group:__tostring()
  return ("Group: rank %d of %d on %s (%d here, %d thread%s each)%s"):format(self.rank, self.size, self.host,
    self.local_size, self.threads, self.threads == 1 and "" or "s", self.library and ", " .. self.library or "")
end

-- What is sent to oneself waits here; and the native module, nil for a process on its own.
local inboxes = setmetatable({}, { __mode = "k" })
local natives = setmetatable({}, { __mode = "k" })

-- The result of a native function, or its message raised.
local function checked(result, ...)
  if result == nil and (...) then errors.raise((...)) end
  return result, ...
end

local function check_rank(group, name, argument, rank)
  return options.value(name, argument, rank, { type = "integer", min = 0, max = group.size - 1, required = true })
end

local function check_other(group, name, rank)
  check_rank(group, name, "rank", rank)
  if rank == group.rank then errors.refuse(name, "rank: expected another rank than this one, got %d", rank) end
  return rank
end

local function check_text(name, text)
  return options.value(name, "text", text, { type = "string", required = true })
end

--- Sends a text to another rank, or to this one. Does not wait for the receiver: the text is copied, and kept until it
-- has arrived.
-- @int rank of the receiver
-- @string text of any bytes and size
-- @usage
-- group:send(0, json.encode(row))
function Group:send(rank, text)
  check_rank(self, "send", "rank", rank)
  check_text("send", text)
  if rank ~= self.rank then
    checked(natives[self].send({ rank }, TEXT, text))
    return
  end
  local inbox = inboxes[self]
  inbox.last = inbox.last + 1
  inbox[inbox.last] = text
end

-- The first text that was sent to oneself, or nil.
local function take_own(group)
  local inbox = inboxes[group]
  local text = inbox[inbox.first]
  if text then
    inbox[inbox.first] = nil
    inbox.first = inbox.first + 1
  end
  return text
end

--- Waits for a text from any rank.
-- @number[opt] timeout in seconds; 0 only looks, nothing waits for ever
-- @treturn[1] int rank of the sender
-- @treturn[1] string text
-- @treturn[2] nil when the time is over
function Group:receive(timeout)
  options.value("receive", "timeout", timeout, { type = "number", min = 0 })
  local own = take_own(self)
  if own then return self.rank, own end
  if self.size == 1 then
    if not timeout then errors.refuse("receive", "this process is on its own, and has sent itself nothing") end
    return nil
  end
  local rank, text = checked(natives[self].receive(-1, TEXT, timeout))
  return rank, text
end

--- Waits for a text from one rank.
-- @int rank of the sender
-- @treturn string text
function Group:receive_from(rank)
  check_rank(self, "receive_from", "rank", rank)
  if rank == self.rank then
    return take_own(self) or errors.refuse("receive_from", "rank: this rank (%d) has sent itself nothing", rank)
  end
  local _, text = checked(natives[self].receive(rank, TEXT))
  return text
end

--- Sends a tensor's numbers to another rank. Does not wait for the receiver: they are copied.
-- @int rank of the receiver
-- @tparam Tensor tensor
function Group:send_tensor(rank, tensor)
  check_other(self, "send_tensor", rank)
  collectives.check_tensor("send_tensor", tensor)
  checked(natives[self].send_tensor({ rank }, TENSOR, tensor))
end

--- Waits for a tensor's numbers from another rank, and puts them into a tensor of the same type and number of elements.
-- @int rank of the sender
-- @tparam Tensor tensor is changed
-- @treturn Tensor the same
function Group:receive_tensor(rank, tensor)
  check_other(self, "receive_tensor", rank)
  collectives.check_tensor("receive_tensor", tensor)
  checked(natives[self].receive_tensor(rank, TENSOR, tensor))
  return tensor
end

--- Gives all ranks the text of one. All ranks call it.
-- @string text at the root; what the others give is not looked at
-- @int[opt=0] root the rank whose text it is
-- @treturn string text
function Group:broadcast(text, root)
  root = check_rank(self, "broadcast", "root", root or 0)
  if self.rank == root then check_text("broadcast", text) end
  if self.size == 1 then return text end
  return collectives.broadcast(self, natives[self], text, root)
end

--- Gives one rank the texts of all. All ranks call it.
-- @string text of this rank
-- @int[opt=0] root the rank that gets them
-- @treturn ?{string,...} at the root the text of rank r at r + 1, elsewhere nil
function Group:gather(text, root)
  root = check_rank(self, "gather", "root", root or 0)
  check_text("gather", text)
  if self.size == 1 then return { text } end
  return collectives.gather(self, natives[self], text, root)
end

--- Gives all ranks the texts of all. All ranks call it.
-- @string text of this rank
-- @treturn {string,...} the text of rank r at r + 1
function Group:all_gather(text)
  check_text("all_gather", text)
  if self.size == 1 then return { text } end
  return collectives.all_gather(self, natives[self], text)
end

--- Gives all ranks the numbers of one rank's tensor. All ranks call it, with tensors of one type and size.
-- @tparam Tensor tensor is changed but at the root
-- @int[opt=0] root the rank whose numbers they are
-- @treturn Tensor the same
function Group:broadcast_tensor(tensor, root)
  root = check_rank(self, "broadcast_tensor", "root", root or 0)
  collectives.check_tensor("broadcast_tensor", tensor)
  if self.size > 1 then collectives.broadcast_tensor(self, natives[self], tensor, root) end
  return tensor
end

--- Waits until all ranks have come here. All ranks call it.
function Group:barrier()
  if self.size > 1 then collectives.barrier(self, natives[self]) end
end

--- Texts and tensors that were sent and that nobody has received yet.
-- @treturn int how many
-- @treturn int their bytes
function Group:pending()
  if self.size == 1 then return 0, 0 end
  return natives[self].pending()
end

--- Ends all ranks at once, without their cleaning up: for what cannot go on. Where an error is raised, that is enough:
-- the others hear of it.
-- @string message written to stderr
function Group:abort(message)
  options.value("abort", "message", message, { type = "string", required = true })
  if self.size == 1 then errors.refuse("abort", "%s", message) end
  errors.warn("rank %d: %s", self.rank, message)
  natives[self].abort(1)
end

class_methods.guard(Group, nil, "group")

local group = {}

--- A group. Used by secateur.mpi.
-- @tab place rank, size, host, local_size, threads, library
-- @tab[opt] native module
-- @treturn Group
function group.new(place, native)
  local self = {}
  for key, value in pairs(place) do self[key] = value end
  inboxes[self] = { first = 1, last = 0 }
  natives[self] = native
  return setmetatable(self, Group)
end

--- Whether a value is a group.
-- @param value anything
-- @treturn boolean
function group.is(value) return getmetatable(value) == Group end

local MOMENT = 0.25 -- seconds, in which ranks that fail by the same mistake hear of each other

-- Which rank has failed first, and its text; a rank that fails itself waits a moment for the first rank's.
local function first_failure(self, native) return native.failure(self.rank > 0 and MOMENT or 0) end

--- Tells the other ranks that this one has failed, unless they know of a failure already: every wait of theirs ends
-- with the message.
-- @tparam Group self
-- @param problem what was raised
function group.report_failure(self, problem)
  local native = natives[self]
  if not native or first_failure(self, native) then return end
  -- The interpreter's own handler of messages may have added a traceback.
  native.report_failure((tostring(problem):gsub("\nstack traceback:\n.*", "")))
end

-- A text without the position that it may begin with.
local function bare(text) return (text:gsub("^[^\n:]*:%d+: ", "")) end

--- Whether a text by which this rank ends is another's, which writes it; else the others are told. All ranks may fail
-- by the same mistake: then one text is enough, the first's.
-- @tparam Group self
-- @string text
-- @treturn boolean
function group.is_told(self, text)
  local native = natives[self]
  if not native then return false end
  local rank, known = first_failure(self, native)
  if not rank then
    native.report_failure(text)
    return false
  end
  if rank == self.rank or not text:find(bare(known), 1, true) then return false end
  -- A process that ended by os.exit has said nothing: the first of the others does.
  return not (known:find "^ended with exit status" and self.rank == (rank == 0 and 1 or 0))
end

return group
