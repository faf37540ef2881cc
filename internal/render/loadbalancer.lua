-- Ends the connections of an API server that has been down for two seconds, while another
-- one is up and has been so for two. One check that is late sends new connections
-- elsewhere, and that is all: on-marked-down would cut those that are open, and those that
-- are still being made and would go to another server by themselves. Where all API
-- servers are overloaded all come and go, and cutting would add to their load.
local dead_after, steady_after = 2000, 2

-- dead returns the servers that are. It keeps in down_since since when each has been
-- down, in milliseconds.
local function dead(servers, down_since, now)
	local steady, found = false, {}
	for name, server in pairs(servers) do
		local s = server:get_stats()
		if not s.status:find("^DOWN") then
			down_since[name] = nil
			steady = steady or s.status:find("^UP") and s.lastchg >= steady_after
		else
			down_since[name] = down_since[name] or now
			if now - down_since[name] >= dead_after then table.insert(found, server) end
		end
	end
	return steady and found or {}
end

local function watch(backend)
	local down_since = {} -- by name
	while true do
		core.msleep(100)
		local t = core.now()
		for _, server in ipairs(dead(core.backends[backend].servers, down_since, t.sec * 1000 + t.usec // 1000)) do
			server:shut_sess()
		end
	end
end

core.register_task(function() watch("kube-apiserver") end)
core.register_task(function() watch("kube-apiserver-last-resort") end)
