/*
 * Isochronous transfers for dummy_hcd, which has none: sound over USB is made of nothing else. One packet
 * each interval, whether the other end has a buffer or not: what it has none for is lost, and nobody waits.
 */
static bool transfer_iso(struct dummy *dum, struct urb *urb, struct dummy_ep *ep)
{
	struct urbp *urbp = urb->hcpriv;
	ktime_t now = ktime_get();
	u64 interval = (u64)urb->interval * (dum->gadget.speed == USB_SPEED_HIGH ? 125000 : 1000000);

	/* a stream that begins, or a machine that slept */
	if (ktime_before(ep->iso_at, ktime_sub(now, ms_to_ktime(200))))
		ep->iso_at = now;
	while (urbp->iso_done < urb->number_of_packets && !ktime_after(ep->iso_at, now)) {
		struct usb_iso_packet_descriptor *packet = &urb->iso_frame_desc[urbp->iso_done++];
		struct dummy_request *req = list_first_entry_or_null(&ep->queue, struct dummy_request, queue);
		void *host = urb->transfer_buffer + packet->offset;
		unsigned int length;

		ep->iso_at = ktime_add_ns(ep->iso_at, interval);
		ep->last_io = jiffies;
		packet->status = 0;
		packet->actual_length = usb_urb_dir_in(urb) ? 0 : packet->length;
		if (!req)
			continue;
		length = min(packet->length, req->req.length);
		if (usb_urb_dir_in(urb)) {
			memcpy(host, req->req.buf, length);
			packet->actual_length = length;
		} else {
			memcpy(req->req.buf, host, length);
		}
		urb->actual_length += length;
		req->req.actual = length;
		req->req.status = 0;
		list_del_init(&req->queue);
		dummy_giveback(dum, &ep->ep, req);
	}
	return urbp->iso_done == urb->number_of_packets;
}
