"""Views that have work done later. Loaded with `channelbeat.worker` only."""

from django.http import JsonResponse

from channelbeat.worker import acancel, asend, cancel, send


def event(place):
    return {"type": "take", "from": place}


def sync_view(request):
    return JsonResponse({"run": send("raw", event("a sync view"))})


async def async_view(request):
    return JsonResponse({"run": await asend("raw", event("an async view"))})


def once_view(request):
    return JsonResponse({"run": send("raw", event("a view that is called again and again"), key="2026-11")})


def cancelled_view(request):
    run = send("raw", event("a view that thinks better of it"), delay=3600)
    return JsonResponse({"run": run, "was": cancel(run)})


async def async_cancelled_view(request):
    run = await asend("raw", event("an async view that thinks better of it"), delay=3600)
    return JsonResponse({"run": run, "was": await acancel(run)})
