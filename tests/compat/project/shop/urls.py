from django.urls import path

from shop import views

urlpatterns = [
    path("sync", views.sync_view),
    path("async", views.async_view),
    path("once", views.once_view),
    path("cancelled", views.cancelled_view),
    path("async-cancelled", views.async_cancelled_view),
]
