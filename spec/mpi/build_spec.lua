-- How the module is built, and that nothing else needs an MPI library.
local child = require "support.child"
local files = require "secateur.util.files"
local mpirun = require "support.mpirun"
local needs = require "support.needs"
local temporary = require "support.temporary"

local function run(command)
  local pipe = assert(io.popen(("{ %s ; } 2>&1"):format(command)))
  local output = pipe:read "a"
  return pipe:close() or false, output
end

-- make on its own, not as a part of the make that runs the specs.
local MAKE = "env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL make --no-print-directory "

describe("make", function()
  local folder
  setup(function() folder = temporary.folder() end)
  teardown(function() files.remove(folder) end)
  it("builds no MPI module when told so, and none where there is no mpicc", function()
    needs.native(pending, "make")
    if not files.is_file "Makefile" then pending "modules are built in a checkout alone" end
    for _, how in ipairs { "MPI=no", "MPICC=mpicc.nobody" } do
      local good, output = run(MAKE .. "-n " .. how .. " BUILD=" .. folder .. " module")
      assert.is_true(good, output)
      assert.truthy(output:find("-o " .. folder .. "/secateur/sqlite.so", 1, true))
      assert.falsy(output:find("-o " .. folder .. "/secateur/mpi.so", 1, true))
    end
  end)

  it("builds it with the others where told so", function()
    needs.native(pending, "make")
    if not files.is_file "Makefile" then pending "modules are built in a checkout alone" end
    mpirun.need(pending, "mpich")
    local good, output = run(MAKE .. "-n MPI=yes MPICC=mpicc.mpich BUILD=" .. folder .. " module")
    assert.is_true(good, output)
    assert.truthy(output:find("-o " .. folder .. "/secateur/mpi.so", 1, true))
  end)

  it("says what is missing where it is told to build one and cannot", function()
    needs.native(pending, "make")
    if not files.is_file "Makefile" then pending "modules are built in a checkout alone" end
    local good, output = run(MAKE .. ("MPI=yes MPICC=mpicc.nobody BUILD=%s %s/secateur/mpi.so"):format(folder, folder))
    assert.is_false(good)
    assert.truthy(output:find("MPI=yes, but 'mpicc.nobody' is not found: install libopenmpi-dev and openmpi-bin "
      .. "(.ci/install mpi), or say MPICC=command, or MPI=no", 1, true), output)
  end)
end)

describe("the native modules", function()
  it("link no MPI library, but for one", function()
    needs.native(pending, "ldd")
    if not run "ldd --version" then pending "no ldd here" end
    local build = assert(package.searchpath("secateur.cpu", package.cpath)):match "^(.*)/cpu%.so$"
    local seen = 0
    for _, name in ipairs(files.list(build)) do
      if name:find "%.so$" and name ~= "mpi.so" then
        local _, output = run(("ldd '%s/%s'"):format(build, name))
        assert.falsy(output:find "libmpi", name)
        seen = seen + 1
      end
    end
    assert.is_true(seen >= 3)
  end)
end)

describe("the module of one MPI", function()
  it("under the launcher of the other is refused, with a way out", function()
    for _, flavour in ipairs(mpirun.flavours) do mpirun.need(pending, flavour) end
    local script = [[
      local sc = require "secateur"
      local ok, message = pcall(sc.mpi.group)
      io.stdout:write(tostring(ok), " ", tostring(message):match "group:.*", "\n")
    ]]
    for launcher, module in pairs { openmpi = "mpich", mpich = "openmpi" } do
      local _, output = mpirun.run(launcher, 2, script, { module = module })
      local way_out = "use the launcher of the MPI that it was built with, or build it with the other "
        .. "('make MPICC=mpicc.mpich')\n"
      assert.truthy(output:find("false group: [^\n]* started 2 processes, but secateur/mpi%.so, which was built with "
        .. (module == "mpich" and "MPICH" or "Open MPI") .. "[^\n]* sees 1: "), output)
      assert.truthy(output:find(way_out, 1, true), output)
    end
  end)

  it("is looked at, and its library named, without a launcher", function()
    mpirun.need(pending, "openmpi")
    local output = child.run(([[
      package.cpath = %q .. package.cpath
      local sc = require "secateur"
      print(sc.mpi.launched(), sc.mpi.available())
      print(sc.mpi.group().size)
    ]]):format(mpirun.folder "openmpi" .. "/?.so;"))
    assert.truthy(output:find "^false\ttrue\tOpen MPI v[^\n]*\n1\n$", output)
  end)

  it("that cannot be loaded says why", function()
    local folder = temporary.folder()
    temporary.write(folder, "secateur/mpi.so", "no library")
    local output = child.run(([[
      package.cpath = %q .. package.cpath
      local sc = require "secateur"
      print(sc.mpi.available())
    ]]):format(folder .. "/?.so;"))
    files.remove(folder)
    assert.equal(1, output:find(("false\t%s/secateur/mpi.so cannot be loaded: "):format(folder), 1, true), output)
  end)
end)
