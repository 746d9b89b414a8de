-- Without a launcher: a group of one, in plain Lua, so that a script for many runs on its own.
local child = require "support.child"
local here = require("support.errors").here
local options = require "secateur.util.options"
local sc = require "secateur"

-- Of a launcher that runs the specs themselves.
if sc.mpi.launched() then return end

describe("a process on its own", function()
  local group = sc.mpi.group()

  it("is a group of one, always the same", function()
    assert.equal(0, group.rank)
    assert.equal(1, group.size)
    assert.equal(1, group.local_size)
    assert.is_nil(group.library)
    assert.equal(sc.threads(), group.threads)
    assert.equal(group, sc.mpi.group())
    assert.truthy(tostring(group):find("^Group: rank 0 of 1 on "))
  end)

  it("does with itself what many do", function()
    assert.equal("a\0b", group:broadcast "a\0b")
    assert.same({ "x" }, group:gather("x", 0))
    assert.same({ "x" }, group:all_gather "x")
    local tensor = sc.full(2, 2, 7)
    assert.equal(tensor, group:broadcast_tensor(tensor))
    assert.equal(7, tensor:get(2, 2))
    group:barrier()
    assert.same({ 0, 0 }, { group:pending() })
  end)

  it("gets what it sends itself, in order", function()
    assert.is_nil(group:receive(0))
    group:send(0, "first")
    group:send(0, "")
    group:send(0, "third")
    assert.same({ 0, "first" }, { group:receive() })
    assert.equal("", group:receive_from(0))
    assert.same({ 0, "third" }, { group:receive(10) })
    assert.is_nil(group:receive(0))
  end)

  it("does not wait for what cannot come", function()
    assert.equal("receive: this process is on its own, and has sent itself nothing",
      here(function() group:receive() end))
    assert.equal("receive_from: rank: this rank (0) has sent itself nothing",
      here(function() group:receive_from(0) end))
  end)

  it("checks what it is given", function()
    assert.equal("send: rank: expected a whole number in [0, 0], got 1",
      here(function() group:send(1, "x") end))
    assert.equal("send: text: expected a string, got 7",
      here(function() group:send(0, 7) end))
    assert.equal("receive: timeout: expected a number of at least 0, got -1",
      here(function() group:receive(-1) end))
    assert.equal("send_tensor: rank: expected another rank than this one, got 0",
      here(function() group:send_tensor(0, sc.zeros(1)) end))
    assert.equal("broadcast_tensor: tensor: expected a Tensor, got a table",
      here(function() group:broadcast_tensor {} end))
    assert.equal("barrier: self: expected a Group, got nil; is there a dot in place of a colon? group:barrier(...)",
      here(function() group.barrier() end))
  end)

  it("runs together what it is given", function()
    assert.same({ 1, 2, 3 }, { sc.mpi.together(group, function(...) return ... end, 1, 2, 3) })
    assert.has_error(function() sc.mpi.together(group, error, "mine") end, "mine")
    assert.equal("together: group: expected a group, as sc.mpi.group() gives it, got a table",
      here(function() sc.mpi.together({}, print) end))
  end)

  it("has a rule for the option group", function()
    local rules = { group = require "secateur.mpi.group_rule" }
    assert.equal(group, options.check("train", { group = group }, rules).group)
    assert.is_nil(options.check("train", {}, rules).group)
    assert.equal("train: group: expected a group of processes, as sc.mpi.group() gives it, got 4",
      here(function() options.check("train", { group = 4 }, rules) end))
  end)

  it("loads no MPI library, nor does anything else", function()
    local output = child.run [[
      local sc = require "secateur"
      sc.mpi.group():barrier()
      for line in io.lines "/proc/self/maps" do
        if line:find "libmpi" or line:find "/mpi%.so" then print(line) end
      end
      print(sc.mpi.launched())
    ]]
    assert.equal("false\n", output)
  end)
end)

describe("launched", function()
  -- What launchers set, and what they do not.
  local function launched(assignments)
    return child.run([[print(require("secateur").mpi.launched())]], assignments .. " %s")
  end

  it("knows launchers by the environment", function()
    assert.equal("true\n", launched "OMPI_COMM_WORLD_SIZE=4")
    assert.equal("true\n", launched "PMI_RANK=0 PMI_SIZE=1")
    assert.equal("true\n", launched "PMIX_RANK=3 SLURM_PROCID=3")
    assert.equal("false\n", launched "SLURM_PROCID=0 SLURM_NTASKS=16 SLURM_JOB_ID=7")
  end)

  it("is no child of a process that a launcher started", function()
    local rank = [[
      local environment = require "secateur.mpi.environment"
      io.write(tostring(environment.is_launched()), " ")
      io.stdout:flush()
      local child = arg[-1] .. " -e 'print(require(\"secateur.mpi.environment\").is_launched())'"
      os.execute("SECATEUR_MPI_PROCESS='" .. environment.mark() .. "' %s " .. child)
    ]]
    assert.equal("true false\n", child.run(rank:format "", "PMI_RANK=1 PMI_SIZE=2 PMI_FD=5 %s"))
    -- but for a launcher that it started itself
    assert.equal("true true\n", child.run(rank:format "PMI_RANK=0", "PMI_RANK=1 PMI_SIZE=2 PMI_FD=5 %s"))
  end)

  it("is alone, and needs no MPI, where Slurm started one process", function()
    local script = [[
      local sc = require "secateur"
      sc.main(function()
        print(sc.mpi.group().size, sc.threads(), io.open("/proc/self/maps"):read("a"):find "libmpi")
      end)
    ]]
    for _, where in ipairs { "PMI_RANK=0 PMI_SIZE=1", "PMIX_RANK=0 SLURM_STEP_NUM_TASKS=1" } do
      assert.equal("1\t1\tnil\n", child.run(script,
        "unset OMP_NUM_THREADS; SLURM_PROCID=0 SLURM_CPUS_PER_TASK=1 " .. where .. " %s"))
    end
  end)

  it("needs the module, unless there is one process", function()
    local script = [[
      local searchpath = package.searchpath
      package.searchpath = function(name, ...)
        if name ~= "secateur.mpi" then return searchpath(name, ...) end
      end
      local sc = require "secateur"
      local ok, message = pcall(sc.mpi.group)
      print(ok, (tostring(message):gsub("^.-: ", "", 1)))
    ]]
    assert.equal("false\tgroup: Open MPI's launcher started this process as one of 4, but secateur/mpi.so was not "
      .. "built: install an MPI (libopenmpi-dev and openmpi-bin on Debian), then 'make'\n",
      child.run(script, "OMPI_COMM_WORLD_SIZE=4 %s"))
    assert.truthy(child.run(script, "PMI_SIZE=1 PMI_RANK=0 %s"):find "^true\trank 0 of 1")
  end)
end)
