-- Sweeps that several processes share, under each MPI that is installed.
local child = require "support.child"
local files = require "secateur.util.files"
local mpirun = require "support.mpirun"
local rank_sweep = require "support.rank_sweep"
local temporary = require "support.temporary"

-- Each of several has one thread, a process alone two: what is measured depends on neither.
local ONE_THREAD = { env = "OMP_NUM_THREADS=1" }

local folder, reference
local function path(name) return files.join(folder, name) end

local function count(text, part)
  local found = 0
  for _ in text:gmatch(part) do found = found + 1 end
  return found
end

-- What one process alone comes to, computed once.
local function alone()
  if not reference then
    local good, output = child.try(rank_sweep.script(path "alone.db"), "OMP_NUM_THREADS=2 %s")
    assert(good, output)
    reference = rank_sweep.contents(path "alone.db")
  end
  return reference
end

local function run(flavour, ranks, name, settings)
  return mpirun.run(flavour, ranks, rank_sweep.script(path(name), settings), ONE_THREAD)
end

-- A fingerprint of the results, which every rank writes.
local digest = [[
  local json = require "secateur.util.json"
  local rows = json.encode(table.move(results, 1, #results, 1, {}))
  local text = json.encode { results.experiment, results.samples, results.total, results.margin, results.runs }
  io.stdout:write(("%d %s %s %s\n"):format(#results, require("secateur.util.fingerprint").text(rows .. text),
    tostring(results.is_copy), getmetatable(results).__name))
]]

-- Ends a process without a chance to say anything, at its n-th call of what is counted.
local killing = [[
  if sc.mpi.group().rank == %d then
    local pid, left = io.open("/proc/self/stat"):read "n", %d
    local function look()
      left = left - 1
      if left == 0 then os.execute("kill -9 " .. pid) end
    end
    %s
  end
]]
-- A rank that only works: counted are thousands of instructions of Lua. Rank 0: what it writes into the store.
local worker_count = 'debug.sethook(look, "", 10000)'
local owner_count = [[
  local store = require "secateur.results.store"
  local open = store.open
  function store.open(...)
    local opened, message = open(...)
    local put = opened and opened.put
    function opened.put(...)
      look()
      return put(...)
    end
    return opened, message
  end
]]
-- Any moment: that of a clock of its own.
local timed = [[os.execute(("(sleep %g; kill -9 %d) >/dev/null 2>&1 &"):format(left / 1000, pid))]]

describe("sweeps of several processes", function()
  setup(function() folder = temporary.folder() end)
  teardown(function() assert(files.remove(folder)) end)

  for _, flavour in ipairs(mpirun.flavours) do
    describe("a sweep under " .. flavour, function()
      it("gives what one process gives, bit for bit, and makes each model once", function()
        mpirun.need(pending, flavour)
        for _, ranks in ipairs(flavour == mpirun.flavours[1] and { 1, 2, 4 } or { 3 }) do
          local name = ("%s%d.db"):format(flavour, ranks)
          local status, output = run(flavour, ranks, name, { after = digest })
          assert.equal(0, status, output)
          assert.equal(1, count(output, "trains\n"), output)
          assert.same(alone(), rank_sweep.contents(path(name)))
          local copies, first = 0, nil
          for rows, hash, copy in output:gmatch "(%d+) (%x+) (%l+) Results\n" do
            first = first or hash
            assert.equal(tostring(rank_sweep.rows), rows)
            assert.equal(first, hash)
            copies = copies + (copy == "true" and 1 or 0)
          end
          assert.equal(ranks - 1, copies, output)
        end
      end)

      it("goes on where another number of processes has ended, and returns at once when all is there", function()
        mpirun.need(pending, flavour)
        local name = flavour .. "-grown.db"
        local status, output = run(flavour, 2, name, { before = [[
          local sweep = sc.sweep
          sc.sweep = function(opts)
            opts.seeds, opts.repair = { 1 }, "none"
            return sweep(opts)
          end
        ]] })
        assert.equal(0, status, output)
        status, output = run(flavour, 3, name, { options = "workers = { root = false, ahead = 0, models = 1 }" })
        assert.equal(0, status, output)
        local grown = rank_sweep.contents(path(name))
        assert.same(alone().row, grown.row)
        assert.same(alone().scores, grown.scores)
        status, output = run(flavour, 2, name, { after = digest })
        assert.equal(0, status, output)
        assert.equal(0, count(output, "trains"), output)
      end)

      it("keeps what fails in its place, and goes on; or stops where it is told to", function()
        mpirun.need(pending, flavour)
        local name = flavour .. "-failing.db"
        local failing = [[
          local sweep = sc.sweep
          sc.sweep = function(opts)
            opts.methods[2] = nil
            opts.methods.mine = function() error "no score today" end
            return sweep(opts)
          end
        ]]
        local status, output = run(flavour, 3, name, { before = failing, after =
          [[if sc.mpi.group().rank == 2 then print(#results, #results.failed, results.failed[1].error) end]] })
        assert.equal(0, status, output)
        assert.matches("48%s+48%s+.*no score today\n", output)
        assert.matches("sweep: 48 rows failed, such as phantom, [^\n]*, mine, [^\n]*no score today\n", output)
        status, output = run(flavour, 2, flavour .. "-stopped.db", { before = failing, options = 'on_error = "stop"' })
        assert.not_equal(0, status)
        assert.matches("sweep: phantom, .*mine.*no score today", output)
      end)

      it("refuses the group to a task, which the others are not in", function()
        mpirun.need(pending, flavour)
        local status, output = run(flavour, 2, flavour .. "-nested.db", { before = [[
          local sweep = sc.sweep
          sc.sweep = function(opts)
            opts.models = { nested = function() sc.train(model(1), data, { group = sc.mpi.group(), quiet = true }) end }
            return sweep(opts)
          end
        ]], after = [[assert(not sc.mpi.group().sharing)]] })
        assert.equal(0, status, output)
        assert.matches("group: expected no group in a task of a sweep, which one process does for all", output)
      end)

      it("says which rank was asked for something else", function()
        mpirun.need(pending, flavour)
        local status, output = run(flavour, 3, flavour .. "-other.db", { before = [[
          local sweep = sc.sweep
          sc.sweep = function(opts)
            if sc.mpi.group().rank == 1 then opts.rates = { 0, 0.4 } end
            return sweep(opts)
          end
        ]] })
        assert.not_equal(0, status)
        assert.matches("sweep: expected the same call on all ranks, but rank 1 differs from rank 0: rates was "
          .. "%[0,0.3,0.6%] and is %[0,0.4%] there", output)
        assert.is_false(files.is_file(path(flavour .. "-other.db")))
      end)

      it("ends all where rank 0 has no store to write, or a rank no data", function()
        mpirun.need(pending, flavour)
        local status, output = run(flavour, 2, "none/x.db", { before = [[io.open(]] .. ("%q"):format(path "none")
          .. [[, "w"):close()]] })
        assert.not_equal(0, status)
        assert.matches("sweep: store", output)
      status, output = run(flavour, 2, flavour .. "-nothing.db", { before =
        [[if sc.mpi.group().rank == 1 then sc.data.folder "no/such/folder" end]] })
      assert.not_equal(0, status)
      assert.matches("no/such/folder", output)
      end)

      it("ends where a process is killed, with what is finished kept, and goes on to the same store", function()
        mpirun.need(pending, flavour)
        local kills, name = tonumber(os.getenv "SECATEUR_KILLS") or flavour == mpirun.flavours[1] and 3 or 1,
          flavour .. "-killed.db"
        local state = 7
        local function draw(n)
          state = (state * 1103515245 + 12345) % 2147483648
          return state // 65536 % n + 1
        end
        local killed, before = 0, nil
        for i = 1, 4 * kills do
          if killed == kills then break end
          local ranks = 1 + draw(3)
          local victim = i % 2 == 0 and 0 or draw(ranks - 1)
          local how, moments = victim == 0 and owner_count or worker_count, victim == 0 and 40 or 300
          if kills > 3 then how, moments = timed, 2500 end
          local status, output = run(flavour, ranks, name, { before = killing:format(victim, draw(moments), how) })
          killed = killed + (status ~= 0 and 1 or 0)
          local found = files.is_file(path(name)) and rank_sweep.contents(path(name)).row or {}
          -- Nothing that was kept is lost.
          for key, row in pairs(before or {}) do assert.same(row, found[key], output) end
          local rows = 0
          before = found
          for _ in pairs(found) do rows = rows + 1 end
          if status == 0 then -- it was finished before its moment came: once more from the start
            assert.equal(rank_sweep.rows, rows)
            assert.same(alone(), rank_sweep.contents(path(name)))
            before = nil
            os.remove(path(name))
          end
        end
        assert.equal(kills, killed)
        local status, output = run(flavour, 2, name)
        assert.equal(0, status, output)
        assert.same(alone(), rank_sweep.contents(path(name)))
      end)
    end)
  end
end)
