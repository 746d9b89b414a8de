-- Ends before time: whatever happens to one process, the others hear of it in their waits, and none waits for ever.
local mpirun = require "support.mpirun"

-- The last rank is the one that something happens to.
local START = [[
local sc = require "secateur"
local group = sc.mpi.group()
local rank, size = group.rank, group.size
local last = size - 1
local function say(...) io.stdout:write(rank .. " " .. table.concat({ ... }, " ") .. "\n") io.stdout:flush() end
local function wait()
  local ok, message = pcall(group.barrier, group)
  say("got", (tostring(message):gsub("^[^\n:]*:%d+: ", "", 1)))
  if not ok then os.exit(7) end
end
]]

local function count(text, pattern)
  local _, found = text:gsub(pattern, "")
  return found
end

for _, flavour in ipairs(mpirun.flavours) do
  describe("under " .. flavour .. ", a rank", function()
    local function ends(script, ranks)
      local status, output = mpirun.run(flavour, ranks or 3, START .. script)
      assert.not_equal(124, status, "it hung:\n" .. output)
      return status, output
    end

    it("that raises an error in what all do together tells the others what", function()
      mpirun.need(pending, flavour)
      local status, output = ends [[
        if rank < last then wait() end
        sc.mpi.together(group, function() error("out of paper", 0) end)
      ]]
      assert.not_equal(0, status)
      assert.equal(2, count(output, "%d got rank 2: out of paper\n"), output)
    end)

    it("that raises an error elsewhere ends the others", function()
      mpirun.need(pending, flavour)
      local status, output = ends [[
        if rank < last then wait() end
        error "out of paper"
      ]]
      assert.not_equal(0, status)
      assert.equal(2, count(output, "%d got rank 2: ended with exit status 1\n"), output)
    end)

    it("that leaves by os.exit ends the others, closed state or not", function()
      mpirun.need(pending, flavour)
      for _, close in ipairs { "true", "false" } do
        local status, output = ends(([[
          if rank < last then wait() end
          os.exit(3, %s)
        ]]):format(close))
        assert.not_equal(0, status)
        assert.equal(2, count(output, "%d got rank 2: ended with exit status 3\n"), output)
      end
    end)

    it("that ends in peace is missed by who waits for it alone", function()
      mpirun.need(pending, flavour)
      local status, output = ends [[
        if rank == 0 then
          local ok, message = pcall(group.receive_from, group, last)
          say("got", tostring(message):match "rank.*")
          assert(not ok and group:receive(0) == nil)
          group:send(1, "go on")
        elseif rank == 1 then
          say("got", group:receive_from(0))
        end
      ]]
      assert.equal(0, status, output)
      assert.truthy(output:find("0 got rank 2 has ended\n", 1, true), output)
      assert.truthy(output:find("1 got go on\n", 1, true), output)
    end)

    it("that waits for anybody hears when nobody is left", function()
      mpirun.need(pending, flavour)
      local status, output = ends [[
        if rank == last then
          for _ = 1, last do say("got", group:receive()) end
          local ok, message = pcall(group.receive, group)
          say(tostring(ok), message:match "all.*")
        else
          group:send(last, "last words")
        end
      ]]
      assert.equal(0, status, output)
      assert.equal(2, count(output, "2 got %d last words\n"), output)
      assert.truthy(output:find("2 false all other ranks have ended\n", 1, true), output)
    end)

    it("that ends with much to send delivers it first, and takes what nobody received with it", function()
      mpirun.need(pending, flavour)
      local status, output = ends [[
        if rank == 0 then
          for other = 1, last do
            for i = 1, 3 do assert(group:receive_from(other) == tostring(i):rep(3000000)) end
            assert(group:receive_tensor(other, sc.zeros(1000, 1000)):get(1000, 1000) == other)
          end
          say "good"
        else
          for i = 1, 4 do group:send(0, tostring(i):rep(3000000)) end
          group:send_tensor(0, sc.full(1000, 1000, rank))
          group:send(rank, "to myself")
        end
      ]]
      assert.equal(0, status, output)
      assert.equal("0 good\n", output)
    end)

    it("that is killed ends all", function()
      mpirun.need(pending, flavour)
      local status, output = ends [[
        group:barrier()
        if rank == last then io.popen("kill -9 $PPID"):close() end
        wait()
      ]]
      assert.not_equal(0, status)
      assert.falsy(output:find "got nil", output)
    end)

    it("that aborts ends all", function()
      mpirun.need(pending, flavour)
      local status, output = ends [[
        if rank == last then group:abort "no way out" end
        wait()
      ]]
      assert.not_equal(0, status)
      assert.equal(1, count(output, "rank 2: no way out\n"), output)
    end)

    it("that does something else than the others is told so", function()
      mpirun.need(pending, flavour)
      local status, output = ends([[
        local ok, message = pcall(rank == 0 and group.barrier or group.gather, group, "x", 0)
        say(message:match ": (.*)$")
        os.exit(1)
      ]], 2)
      assert.not_equal(0, status)
      assert.truthy(output:find("0 barrier: rank 1 has called gather: all ranks have to call the same in the same "
        .. "order\n", 1, true), output)
    end)

    it("that gets a tensor of another type or size refuses it", function()
      mpirun.need(pending, flavour)
      local output = mpirun.lines(flavour, 2, START .. [[
        local cases = { { sc.zeros(4), sc.zeros(5) }, { sc.zeros(2), sc.zeros(1, { dtype = "int64" }) } }
        for _, case in ipairs(cases) do
          if rank == 0 then group:send_tensor(1, case[1])
          else
            local ok, message = pcall(group.receive_tensor, group, 0, case[2])
            assert(not ok)
            say(message:match "rank.*")
          end
        end
        if rank == 0 then group:send_tensor(1, sc.full(3, 8))
        else say(group:receive_tensor(0, sc.zeros(3)):get(3)) end
      ]])
      assert.equal("1 8.0\n"
        .. "1 rank 0 sent a tensor of 16 bytes, expected one of 20 and of the same type\n"
        .. "1 rank 0 sent a tensor of 8 bytes, expected one of 8 and of the same type\n", output)
    end)

    it("hears Ctrl-C in a wait, and the launcher's end as well", function()
      mpirun.need(pending, flavour)
      for _, name in ipairs { "INT", "TERM" } do
        local status, output = mpirun.signal(flavour, 3, START .. [[
          local ok, message = pcall(function()
            say "ready"
            group:receive_from((rank + 1) % size)
          end)
          say(tostring(ok), tostring(message))
          error(message, 0)
        ]], name)
        assert.not_equal(0, status)
        assert.not_equal(124, status)
        -- a rank may hear that another was interrupted, and has ended, before its own signal comes
        assert.equal(3, count(output, "%d false [^\n]+\n"), output)
        assert.truthy(output:find "%d false [^\n]*interrupted", output)
      end
    end)

    describe("under sc.main", function()
      local function body(text)
        return START:gsub("local group", "sc.main(function() local group", 1) .. text .. "\nend)"
      end

      -- What the launcher adds.
      local function own_lines(output)
        local lines = {}
        for line in output:gmatch "[^\n]+" do
          if line:find "^%d " or line:find "paper" or line:find "interrupted" or line:find "rank %d" then
            lines[#lines + 1] = line:gsub("^[^\n:]*:%d+: ", "", 1)
          end
        end
        return table.concat(lines, "\n")
      end

      it("alone says what happened to it", function()
        mpirun.need(pending, flavour)
        local status, output = mpirun.run(flavour, 4, body [[
          if rank == last then require("secateur.util.errors").refuse("print", "out of paper") end
          group:barrier()
        ]])
        assert.not_equal(0, status)
        assert.equal("print: out of paper", own_lines(output), output)
      end)

      it("says for all what happened to all", function()
        mpirun.need(pending, flavour)
        local _, output = mpirun.run(flavour, 4, body [[
          require("secateur.util.errors").refuse("print", "out of paper")
        ]])
        assert.equal("print: out of paper", own_lines(output), output)
      end)

      it("says once what all fail by in what they do together", function()
        mpirun.need(pending, flavour)
        local _, output = mpirun.run(flavour, 4, body [[
          require("secateur.mpi").together(group, function()
            group:barrier()
            require("secateur.util.errors").refuse("print", "out of paper")
          end)
        ]])
        assert.equal("print: out of paper", own_lines(output), output)
      end)

      it("need not have met the others", function()
        mpirun.need(pending, flavour)
        for _, flaw in ipairs { [[error("out of paper", 0)]], [[os.exit(3)]] } do
          local status, output = mpirun.run(flavour, 3, ([[
            local sc = require "secateur"
            sc.main(function()
              local rank = tonumber(os.getenv "OMPI_COMM_WORLD_RANK" or os.getenv "PMI_RANK")
              if rank == 2 then %s end
              sc.mpi.group():barrier()
              print "went on"
            end)
          ]]):format(flaw))
          assert.not_equal(0, status)
          assert.not_equal(124, status, output)
          assert.falsy(output:find "went on", output)
        end
        assert.equal("0 good\n1 good\n", mpirun.lines(flavour, 3, [[
          local sc = require "secateur"
          sc.main(function()
            local rank = tonumber(os.getenv "OMPI_COMM_WORLD_RANK" or os.getenv "PMI_RANK")
            if rank == 2 then return end
            local group = sc.mpi.group()
            group:send(1 - rank, "good")
            io.stdout:write(rank .. " " .. select(2, group:receive()) .. "\n")
          end)
        ]]))
      end)

      it("says once what all would say before they meet", function()
        mpirun.need(pending, flavour)
        local _, output = mpirun.run(flavour, 4, [[
          local sc = require "secateur"
          sc.main(function() require("secateur.util.errors").refuse("print", "out of paper") end)
        ]])
        assert.equal("print: out of paper", own_lines(output), output)
      end)

      it("says for one that went without a word that it did", function()
        mpirun.need(pending, flavour)
        local _, output = mpirun.run(flavour, 4, body [[
          if rank == last then os.exit(3) end
          group:barrier()
        ]])
        assert.equal("rank 3: ended with exit status 3", own_lines(output), output)
      end)

      it("says once that all were interrupted, when one was", function()
        mpirun.need(pending, flavour)
        local status, output = mpirun.run(flavour, 4, body [[
          group:barrier()
          if rank == last then io.popen("kill -INT $PPID"):close() end
          group:receive_from((rank + 1) % size)
        ]])
        assert.equal(130, status, output)
        assert.equal("interrupted", own_lines(output), output)
      end)
    end)
  end)
end
