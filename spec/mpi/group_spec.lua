-- Messages between processes, under each MPI that is installed, with 1 to 4 processes.
local mpirun = require "support.mpirun"
local needs = require "support.needs"

local START = [[
local sc = require "secateur"
local group = sc.mpi.group()
local rank, size = group.rank, group.size
local function say(...) io.stdout:write(rank .. " " .. table.concat({ ... }, " ") .. "\n") end
]]

-- The lines of `size` ranks that each say the same but for their number.
local function each(size, text)
  local lines = {}
  for rank = 0, size - 1 do lines[rank + 1] = ("%d %s\n"):format(rank, (text:gsub("RANK", rank))) end
  return table.concat(lines)
end

for _, flavour in ipairs(mpirun.flavours) do
  describe("a group under " .. flavour, function()
    it("knows its place, library and machine", function()
      mpirun.need(pending, flavour)
      for size = 1, 4 do
        local output = mpirun.lines(flavour, size, START .. [[
          assert(sc.mpi.launched() and sc.mpi.available() == true and group == sc.mpi.group())
          assert(#group.host > 0 and group.threads >= 1 and not group.library:find "%c")
          say(size, group.local_size, group.library:match "^Open MPI" or group.library:match "^MPICH")
        ]])
        local library = flavour == "openmpi" and "Open MPI" or "MPICH"
        assert.equal(each(size, ("%d %d %s"):format(size, size, library)), output)
      end
    end)

    it("is none of the processes that its ranks start", function()
      mpirun.need(pending, flavour)
      local output = mpirun.lines(flavour, 2, START .. [[
        local script = 'local sc = require "secateur" sc.main(function() print("child of " .. sc.mpi.group().size) end)'
        local pipe = io.popen(arg[-1] .. " -e '" .. script .. "'")
        say(pipe:read "a" .. tostring(pipe:close()))
        group:barrier()
      ]])
      assert.equal("0 child of 1\n1 child of 1\ntrue\ntrue\n", output)
    end)

    it("broadcasts, gathers and meets, from and to every rank", function()
      mpirun.need(pending, flavour)
      for size = 1, 4 do
        local output = mpirun.lines(flavour, size, START .. [[
          for root = 0, size - 1 do
            local text = ("a\0z" .. root):rep(1000)
            assert(group:broadcast(rank == root and text or "not mine", root) == text)
            assert(group:broadcast(rank == root and "" or nil, root) == "")
            local all = group:gather("of " .. rank, root)
            assert((all ~= nil) == (rank == root))
            for r = 1, all and size or 0 do assert(all[r] == "of " .. r - 1) end
            group:barrier()
          end
          say(table.concat(group:all_gather("<" .. rank .. ">")))
        ]])
        local all = ("<0><1><2><3>"):sub(1, 3 * size)
        assert.equal(each(size, all), output)
      end
    end)

    it("keeps the order between two, whatever the sizes, and many at once", function()
      mpirun.need(pending, flavour)
      assert.equal("0 60000 0 0\n", mpirun.lines(flavour, 4, START .. [[
        local COUNT = 20000
        if rank > 0 then
          for i = 1, COUNT do group:send(0, i % 1000 == 0 and tostring(i):rep(20000) or tostring(i)) end
        else
          local seen, count = { 0, 0, 0 }, 0
          while count < COUNT * (size - 1) do
            local source, text = group:receive()
            local expected = seen[source] + 1
            assert(text == (expected % 1000 == 0 and tostring(expected):rep(20000) or tostring(expected)))
            seen[source], count = expected, count + 1
          end
          assert(group:receive(0) == nil)
          say(count, group:pending())
        end
      ]]))
    end)

    it("goes on with what was sent while the sender computes", function()
      mpirun.need(pending, flavour)
      local seen = os.tmpname() -- a line for each rank that has got everything; the sender looks here, not at MPI
      assert.equal(each(3, "good"), mpirun.lines(flavour, 3, START .. [[
        local path, fence = os.getenv "SEEN", os.time() + tonumber(os.getenv "FENCE")
        if rank > 0 then
          assert(#group:receive_from(0) == 5000000)
          assert(group:receive_tensor(0, sc.zeros(1000, 1000)):get(1000, 1000) == rank)
          local file = io.open(path, "a")
          file:write "seen\n"
          file:close()
        else
          for other = 1, size - 1 do
            group:send(other, ("x"):rep(5000000))
            group:send_tensor(other, sc.full(1000, 1000, other))
          end
          local lines
          repeat
            lines = 0
            for _ in io.lines(path) do lines = lines + 1 end
            assert(os.time() <= fence, "nothing has gone on")
          until lines == size - 1
        end
        say "good"
      ]], { env = ("SEEN=%s FENCE=%d"):format(seen, 60 * needs.slowdown) }))
      os.remove(seen)
    end)

    it("sends without waiting, both ways at once, and frees what has arrived", function()
      mpirun.need(pending, flavour)
      assert.equal(each(2, "3000000 0 0"), mpirun.lines(flavour, 2, START .. [[
        local other = 1 - rank
        group:send(other, ("m"):rep(3000000))
        group:send(rank, "to myself")
        assert(group:receive_from(rank) == "to myself")
        local text = group:receive_from(other)
        group:barrier()
        while group:pending() > 0 do group:receive(0.001) end
        say(#text, group:pending())
      ]]))
    end)

    it("cuts what is larger than MPI can count into pieces", function()
      mpirun.need(pending, flavour)
      assert.equal(each(3, "good"), mpirun.lines(flavour, 3, START .. [[
        require("secateur.mpi.library").load().set_piece(100)
        local text = {}
        for i = 1, 1001 do text[i] = string.char(i % 256) end
        text = table.concat(text)
        for length = 0, 1001, 7 do
          assert(group:broadcast(rank == 0 and text:sub(1, length) or nil) == text:sub(1, length))
        end
        group:send((rank + 1) % size, text)
        group:send((rank + 1) % size, "after")
        local source, got = group:receive()
        assert(got == text and group:receive_from(source) == "after")
        local tensor = sc.zeros(10, 33)
        group:broadcast_tensor(rank == 1 and sc.randn(10, 33, { seed = 5 }) or tensor, 1)
        if rank ~= 1 then
          local expected = sc.randn(10, 33, { seed = 5 })
          for i = 1, 10 do
            assert(table.concat(tensor[i]:totable(), " ") == table.concat(expected[i]:totable(), " "))
          end
        end
        say "good"
      ]]))
    end)

    it("moves tensors of every type in place, into views as well, and says that they have changed", function()
      mpirun.need(pending, flavour)
      assert.equal(each(4, "good"), mpirun.lines(flavour, 4, START .. [[
        local whole = sc.full(4, 3, -1)
        local row = whole:view(rank + 1, rank + 1)
        if rank == 0 then
          for other = 1, size - 1 do group:send_tensor(other, sc.full(1, 3, other / 4)) end
        else
          assert(group:receive_tensor(0, row) == row)
          assert(whole:get(rank + 1, 3) == rank / 4 and whole:get(1, 1) == -1)
        end
        for root = 0, size - 1 do
          for _, case in ipairs { { "float32", 0.1 }, { "int64", 1 << 40 }, { "uint8", 255 } } do
            local dtype, value = case[1], case[2]
            local tensor = sc.zeros(5, { dtype = dtype }):fill(rank == root and value or 0)
            group:broadcast_tensor(tensor, root)
            assert(tensor:get(5) == sc.zeros(1, { dtype = dtype }):fill(value):get(1))
          end
        end
        group:broadcast_tensor(sc.zeros(0))
        say "good"
      ]]))
    end)
  end)
end
